//! The validation score: captions written freely, as at a user's, against the
//! human ones. Never teacher forcing.

use crate::config::{StopMetric, Train};
use crate::data::Data;
use crate::network::Network;
use attend_artifact::vocabulary::{Tokenizer, Vocabulary};
use attend_describe::{Description, Search};
use attend_figure::Figure;
use attend_metrics::{Corpus, Metric, Score, Scorer};
use attend_program::{Error, Result, check_interrupt, progress};
use image::RgbImage;

/// Images that are captioned at a time.
const BATCH: usize = 32;

/// Images whose attention is drawn.
const SAMPLES: usize = 2;

/// What validation captions are compared with, and which score says which epoch is
/// the best.
pub struct Judge {
    references: Vec<Vec<String>>,
    scorer: Scorer,
    /// `train.stop_metric`, or [`StopMetric::Bleu4`] where CIDEr is 0 whatever the
    /// captions say.
    pub metric: StopMetric,
}

impl Judge {
    /// A judge of the data's validation images; `scorer` has METEOR's data if captions
    /// are to be scored by it.
    ///
    /// # Errors
    /// [`Error::Input`] where no image has a caption to compare with.
    pub fn new(data: &Data, tokenizer: Tokenizer, scorer: Scorer, train: &Train) -> Result<Judge> {
        let split = &train.validation_split;
        if data.references.is_empty() {
            return Err(Error::input(format!(
                "no image of split {split:?} has a caption, so no epoch is better than another; name another split (train.validation_split)"
            )));
        }
        let read = |caption: &String| tokenizer.for_scores(caption).into_owned();
        let of_image = |captions: &Vec<String>| captions.iter().map(read).collect();
        let references: Vec<Vec<String>> = data.references.iter().map(of_image).collect();
        let mut metric = train.stop_metric;
        if metric == StopMetric::Cider {
            let silent = vec![""; references.len()];
            if Corpus::of_captions(&silent, &references).cider().degenerate {
                metric = StopMetric::Bleu4;
                tracing::warn!(
                    "CIDEr of split {split:?} is 0 whatever the captions say: it has one image, or all its images have the same captions; BLEU-4 says which epoch is the best (train.stop_metric)"
                );
            }
        }
        Ok(Judge {
            references,
            scorer,
            metric,
        })
    }
}

/// What the model says of the validation images.
pub struct Validation {
    /// The scores of the captions.
    pub scores: Vec<Score>,
    /// The captions, in the order of the data's validation images.
    pub captions: Vec<String>,
    /// Of the first images, where the model looked.
    pub samples: Vec<Sample>,
}

/// A caption with its attention.
pub struct Sample {
    /// Index of the image.
    pub image: usize,
    description: Description,
}

impl Sample {
    /// The attention picture.
    ///
    /// # Errors
    /// [`attend_program::Error::Refused`] where the data set's shard is damaged.
    pub fn draw(&self, data: &Data) -> Result<RgbImage> {
        let photograph = data.photograph(self.image)?;
        let figure = Figure {
            photograph: &photograph,
            title: &data.image(self.image).file_name,
            words: &self.description.words,
            alphas: &self.description.alphas,
            grid: self.description.grid,
        };
        figure.draw()
    }
}

impl Validation {
    /// The score of that key; 0 where it was not computed.
    pub fn score(&self, key: &str) -> f64 {
        let mut scores = self.scores.iter();
        scores.find(|s| s.key == key).map_or(0.0, |s| s.corpus)
    }
}

/// Captions every validation image once and scores the captions.
///
/// # Errors
/// [`attend_program::Error::Interrupted`], or a missing image.
pub fn validate(
    network: &Network,
    data: &Data,
    vocabulary: &Vocabulary,
    judge: &Judge,
    train: &Train,
) -> Result<Validation> {
    let search = Search {
        max_length: train.max_length,
        ..Search::default()
    };
    let bar = progress("validate", "images", data.validation.len() as u64);
    let (mut captions, mut samples) = (Vec::new(), Vec::new());
    for images in data.validation.chunks(BATCH) {
        check_interrupt()?;
        let projected = network.look(&data.gather(images)?);
        let models = [(network.decoder.as_ref(), &projected)];
        let described = search.describe(&models, vocabulary, train.validation_beam);
        for (image, description) in images.iter().zip(described) {
            captions.push(description.caption());
            if samples.len() < SAMPLES {
                samples.push(Sample {
                    image: *image,
                    description,
                });
            }
        }
        bar.inc(images.len() as u64);
    }
    bar.finish();
    let corpus = Corpus::of_captions(&captions, &judge.references);
    let mut metrics = vec![Metric::Bleu, Metric::Rouge, Metric::Cider];
    if judge.scorer.meteor.is_some() {
        metrics.push(Metric::Meteor);
    }
    Ok(Validation {
        scores: judge.scorer.score(&metrics, &corpus),
        captions,
        samples,
    })
}
