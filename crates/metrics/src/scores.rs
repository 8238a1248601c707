//! Several metrics of a set of captions at once.

use crate::meteor::Data;
use crate::{Corpus, DocumentFrequencies};
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
        let score = |metric: &Metric| self.one(*metric, corpus, &done);
        metrics.iter().flat_map(score).collect()
    }

    fn one(&self, metric: Metric, corpus: &Corpus, done: impl Fn() + Sync) -> Vec<Score> {
        let mut note = None;
        let scores: Vec<(f64, Vec<f64>)> = match metric {
            Metric::Bleu => {
                let scores = corpus.bleu();
                let of_order = |k: usize| scores.per_image.iter().map(|image| image[k]).collect();
                (0..4).map(|k| (scores.corpus[k], of_order(k))).collect()
            }
            Metric::Meteor => {
                let scores = self.meteor.as_ref().map(|data| corpus.meteor(data, &done));
                scores
                    .into_iter()
                    .map(|scores| (scores.corpus, scores.per_image))
                    .collect()
            }
            Metric::Rouge => {
                let scores = corpus.rouge();
                vec![(scores.corpus, scores.per_image)]
            }
            Metric::Cider => {
                let scores = match &self.frequencies {
                    Some(table) => corpus.cider_with(table),
                    None => corpus.cider(),
                };
                note = scores.degenerate.then_some(DEGENERATE);
                vec![(scores.corpus, scores.per_image)]
            }
        };
        let keys = metric.keys().iter().map(|key| (*key).to_owned());
        keys.zip(scores)
            .map(|(key, (corpus, per_image))| Score {
                key,
                corpus,
                per_image,
                note,
            })
            .collect()
    }
}
