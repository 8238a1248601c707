//! The validation score: generated captions, as users get them, are scored against the
//! human ones. Never with teacher forcing.

use crate::config::{StopMetric, Train};
use crate::data::Data;
use crate::network::Network;
use attend_artifact::vocabulary::{Tokenizer, Vocabulary};
use attend_describe::{Description, Search};
use attend_figure::Figure;
use attend_metrics::{Corpus, Metric, Score, Scorer};
use attend_program::{Error, Result, check_interrupt, progress};
use image::RgbImage;

/// Images per batch.
const BATCH: usize = 32;

/// Number of images whose attention is drawn.
const SAMPLES: usize = 2;

/// The human captions, and the score by which epochs are compared.
pub struct Judge {
    references: Vec<Vec<String>>,
    scorer: Scorer,
    /// `train.stop_metric`, or [`StopMetric::Bleu4`] if CIDEr is 0 for any captions.
    pub metric: StopMetric,
}

impl Judge {
    /// A judge of captions of the validation images; `scorer` has METEOR's data if that is
    /// the metric.
    ///
    /// # Errors
    /// [`Error::Input`] if no validation image has a human caption.
    pub fn new(data: &Data, tokenizer: Tokenizer, scorer: Scorer, train: &Train) -> Result<Judge> {
        let split = &train.validation_split;
        if data.references.is_empty() {
            return Err(Error::input(format!(
                "no image of split {split:?} has a human caption to score against; name another split (train.validation_split)"
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
                    "CIDEr of split {split:?} is 0 for any captions: it has one image, or all its images have the same captions; choosing the best epoch by BLEU-4 instead (train.stop_metric)"
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

/// The model's captions of the validation images, and their scores.
pub struct Validation {
    /// The scores of the captions.
    pub scores: Vec<Score>,
    /// The captions, in the order of the data's validation images.
    pub captions: Vec<String>,
    /// Captions of the first images, with the model's attention.
    pub samples: Vec<Sample>,
}

/// A caption with its attention.
pub struct Sample {
    /// Index of the image.
    pub image: usize,
    description: Description,
}

impl Sample {
    /// Draws the attention over the image.
    ///
    /// # Errors
    /// [`attend_program::Error::Refused`] if the data set's shard is damaged.
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
    /// The score that a metric stands for.
    #[expect(clippy::expect_used, reason = "the judge's metric is among its scores")]
    pub fn score(&self, metric: StopMetric) -> f64 {
        let (key, _) = metric.key_and_name();
        let score = self.scores.iter().find(|score| score.key == key);
        score.expect("a score that was computed").corpus
    }
}

/// Captions every validation image once and scores the captions.
///
/// # Errors
/// [`attend_program::Error::Interrupted`], or those of [`Data::gather`].
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
        let described = search.describe(&models, vocabulary, train.validation_beam)?;
        for (image, description) in images.iter().zip(described.into_iter().flatten()) {
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
