//! Several metrics of a set of captions at once.

use crate::meteor::{self, Data};
use crate::{Corpus, DocumentFrequencies, bleu};
use serde::{Deserialize, Serialize};

/// A metric of the COCO caption tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// BLEU-1 to BLEU-4.
    Bleu,
    /// METEOR 1.5; needs its data ([`Scorer::meteor`]).
    Meteor,
    /// ROUGE-L.
    Rouge,
    /// CIDEr-D.
    Cider,
}

impl Metric {
    /// All metrics, in the order in which papers print them.
    pub const ALL: [Metric; 4] = [Metric::Bleu, Metric::Meteor, Metric::Rouge, Metric::Cider];

    /// Keys of its scores in JSON and in the columns of tables.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Metric::Bleu => &["bleu1", "bleu2", "bleu3", "bleu4"],
            Metric::Meteor => &["meteor"],
            Metric::Rouge => &["rouge_l"],
            Metric::Cider => &["cider"],
        }
    }

    /// Names of its scores as papers print them.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Metric::Bleu => &["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"],
            Metric::Meteor => &["METEOR"],
            Metric::Rouge => &["ROUGE-L"],
            Metric::Cider => &["CIDEr"],
        }
    }
}

/// One score of a set of captions.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// One of [`Metric::keys`].
    pub key: String,
    /// Of all images together.
    pub corpus: f64,
    /// Of each image, in the order given.
    pub per_image: Vec<f64>,
    /// Why the score says nothing about these captions, if it doesn't.
    pub note: Option<&'static str>,
}

/// [`Score::note`] of a [degenerate](crate::Cider::degenerate) CIDEr. Evaluations store this
/// text, so that another wording changes their digests.
const DEGENERATE: &str = "CIDEr is 0 by its formula, whatever the captions say: it weighs words by how few images' references they are in, and here there is one image only, or the references of all images are alike";

/// Scores captions by several metrics, each on all cores.
#[derive(Default)]
pub struct Scorer {
    /// METEOR's data; without it the scorer leaves METEOR out.
    pub meteor: Option<Data>,
    /// Document frequencies for CIDEr-D; by default those of the images being scored.
    pub frequencies: Option<DocumentFrequencies>,
}

impl Scorer {
    /// The scores of `metrics`, in that order.
    ///
    /// ```
    /// use attend_metrics::{Corpus, Metric, Scorer};
    /// let hypotheses = ["A dog runs.", "Two red buses."];
    /// let references = [vec!["A dog is running."], vec!["Two red buses at night."]];
    /// let corpus = Corpus::of_captions(&hypotheses, &references);
    /// let scores = Scorer::default().score(&[Metric::Bleu, Metric::Cider], &corpus);
    /// let keys: Vec<&str> = scores.iter().map(|score| score.key.as_str()).collect();
    /// assert_eq!(keys, ["bleu1", "bleu2", "bleu3", "bleu4", "cider"]);
    /// assert_eq!(scores[4].per_image.len(), 2);
    /// ```
    pub fn score(&self, metrics: &[Metric], corpus: &Corpus) -> Vec<Score> {
        self.score_watched(metrics, corpus, || ())
    }

    /// Like [`Scorer::score`]; calls `done` whenever METEOR has scored an image. The
    /// other metrics take next to no time.
    pub fn score_watched(
        &self,
        metrics: &[Metric],
        corpus: &Corpus,
        done: impl Fn() + Sync,
    ) -> Vec<Score> {
        self.tally(metrics, corpus, done).scores()
    }

    /// What each image contributes to the scores of `metrics`: for intervals
    /// ([`crate::Bootstrap`]). Calls `done` as [`Scorer::score_watched`] does.
    pub fn tally(&self, metrics: &[Metric], corpus: &Corpus, done: impl Fn() + Sync) -> Tally {
        let contributions = |metric: &Metric| {
            let mut note = None;
            let of_images = match metric {
                Metric::Bleu => Contributions::Bleu(corpus.bleu_counts()),
                Metric::Meteor => {
                    let data = self.meteor.as_ref()?;
                    Contributions::Meteor(corpus.meteor_statistics(data, &done))
                }
                Metric::Rouge => Contributions::Mean(corpus.rouge().per_image),
                Metric::Cider => {
                    let scores = match &self.frequencies {
                        Some(table) => corpus.cider_with(table),
                        None => corpus.cider(),
                    };
                    note = scores.degenerate.then_some(DEGENERATE);
                    Contributions::Mean(scores.per_image)
                }
            };
            Some((*metric, of_images, note))
        };
        Tally {
            images: corpus.images(),
            metrics: metrics.iter().filter_map(contributions).collect(),
        }
    }
}

/// What each image contributes to the corpus's scores, so that the scores of any choice of
/// the images are sums over them.
pub struct Tally {
    images: usize,
    metrics: Vec<(Metric, Contributions, Option<&'static str>)>,
}

/// The contributions of the images to the scores of one metric.
enum Contributions {
    Bleu(Vec<bleu::Counts>),
    Meteor(Vec<meteor::Statistics>),
    /// The corpus's score is the mean of the images'.
    Mean(Vec<f64>),
}

impl Contributions {
    /// The scores of these images together.
    fn of(&self, images: &[usize]) -> Vec<f64> {
        match self {
            Contributions::Bleu(counts) => {
                let mut total = bleu::Counts::default();
                images.iter().for_each(|&image| total.add(&counts[image]));
                total.scores().to_vec()
            }
            Contributions::Meteor(statistics) => {
                let mut total = meteor::Statistics::default();
                images
                    .iter()
                    .for_each(|&image| total.add(&statistics[image]));
                vec![total.score()]
            }
            Contributions::Mean(scores) => {
                let sum: f64 = images.iter().map(|&image| scores[image]).sum();
                vec![sum / images.len().max(1) as f64]
            }
        }
    }
}

impl Tally {
    /// Number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The keys of the scores, in the order of [`Tally::of`].
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let metrics = self.metrics.iter();
        metrics.flat_map(|(metric, ..)| metric.keys().iter().copied())
    }

    /// The scores of some of the images, which may repeat, as those of a corpus of them.
    /// CIDEr's document frequencies stay those of all images: they are part of the measure.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn of(&self, images: &[usize]) -> Vec<f64> {
        let metrics = self.metrics.iter();
        let scores = metrics.flat_map(|(_, contributions, _)| contributions.of(images));
        scores.collect()
    }

    /// The scores of all images together.
    pub(crate) fn of_all(&self) -> Vec<f64> {
        self.of(&(0..self.images).collect::<Vec<_>>())
    }

    /// The scores of all images together, and of each.
    pub fn scores(&self) -> Vec<Score> {
        let alone: Vec<Vec<f64>> = (0..self.images).map(|image| self.of(&[image])).collect();
        let metrics = self.metrics.iter();
        let notes = metrics.flat_map(|(metric, _, note)| metric.keys().iter().map(|_| *note));
        let all = self.keys().zip(self.of_all()).zip(notes);
        all.enumerate()
            .map(|(at, ((key, corpus), note))| Score {
                key: key.to_owned(),
                corpus,
                per_image: alone.iter().map(|scores| scores[at]).collect(),
                note,
            })
            .collect()
    }
}
