//! METEOR 1.5 (Denkowski and Lavie 2014), English, as the COCO caption tool
//! calls it.
//!
//! Hypothesis and reference are aligned word by word: equal words, words of one
//! stem, synonyms of WordNet, and paraphrases of a table learnt from parallel
//! text. The score is a mean of precision and recall that favours recall, less
//! a penalty for an alignment in many pieces. Of several references the one
//! that gives the highest score counts.
//!
//! Equal to `pycocoevalcap.meteor.meteor.Meteor`, version 1.2, which runs
//! `meteor-1.5.jar` with `-l en -norm`: parameters 0.85 0.2 0.6 0.75, weights
//! of the matchers 1.0 0.6 0.8 0.6, a beam of 40. Its habits are kept where
//! they show in a score:
//!
//! - the tool normalises what the tokeniser made, and so splits some words
//!   again (`t-shirt`, `'s`) and joins others (`u.s.`);
//! - the search for an alignment isn't exhaustive and breaks ties by the order
//!   in which matches are found; inexact matches of single words count for
//!   nothing in it, so that `dogs` and `dog`, of one stem and synonyms as well,
//!   may stay unmatched for being so in two ways;
//! - a corpus doesn't count the chunk of an image whose caption matches whole;
//! - three bars in a row vanish from a hypothesis, and divide a reference.
//!
//! # Data
//!
//! Word lists, synonyms and paraphrases aren't part of this crate; they have
//! their own licences. They lie in the Python package `pycocoevalcap` 1.2, in
//! its folder `meteor`: `meteor-1.5.jar` and `data/paraphrase-en.gz`.
//! [`Data::compile`] makes one file of about 51 MB of them, in seconds;
//! [`Data::open`] maps that file.
//!
//! ```no_run
//! use attend_metrics::meteor::{Data, Meteor};
//! use attend_metrics::tokenize;
//! use std::path::Path;
//!
//! # fn main() -> Result<(), attend_metrics::meteor::Error> {
//! let file = Path::new("english.meteor");
//! Data::compile(Path::new("site-packages/pycocoevalcap/meteor"), file)?;
//!
//! let data = Data::open(file)?;
//! let scores = Meteor::new(&data).score(
//!     &[tokenize("a hound runs on the beach")],
//!     &[vec![tokenize("a dog is running on the beach")]],
//! );
//! assert!(scores.corpus > 0.3);
//! # Ok(())
//! # }
//! ```

mod alignment;
mod compile;
mod file;
mod lexicon;
mod matching;
mod normalise;
mod place;
mod statistics;
mod tables;

pub use file::{Data, Error};

use lexicon::{Lexicon, Sentence};
use serde::{Deserialize, Serialize};
use statistics::Statistics;

/// METEOR scores, each between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeteorScores {
    /// Of all images together: counts are summed before they are divided.
    pub corpus: f64,
    /// Of each image alone, in the order given.
    pub per_image: Vec<f64>,
}

/// Scores captions with METEOR.
pub struct Meteor<'a> {
    data: &'a Data,
}

impl<'a> Meteor<'a> {
    /// A scorer with this data.
    pub fn new(data: &'a Data) -> Self {
        Meteor { data }
    }

    /// Scores one hypothesis per image against that image's references.
    ///
    /// A caption is a list of words (the official scores are those of the
    /// tokeniser of the Penn Treebank). Any may be empty: an empty hypothesis
    /// scores 0. Without images the corpus scores 0.
    ///
    /// # Panics
    /// If the slices differ in length, or an image has no reference at all:
    /// there is no score that could be given. Leave such images out first.
    pub fn score<W: AsRef<str>>(
        &self,
        hypotheses: &[Vec<W>],
        references: &[Vec<Vec<W>>],
    ) -> MeteorScores {
        assert_eq!(
            hypotheses.len(),
            references.len(),
            "hypotheses and references are lists over the same images"
        );
        let mut lexicon = Lexicon::new(self.data);
        let mut total = Statistics::default();
        let mut per_image = Vec::with_capacity(hypotheses.len());
        for (image, (hypothesis, references)) in hypotheses.iter().zip(references).enumerate() {
            assert!(!references.is_empty(), "image {image} has no reference");
            let statistics = best(hypothesis, references, &mut lexicon);
            per_image.push(statistics.score());
            total.add(&statistics);
        }
        MeteorScores {
            corpus: total.score(),
            per_image,
        }
    }
}

/// Statistics against the reference that gives the highest score, the first of
/// equals.
fn best<W: AsRef<str>>(
    hypothesis: &[W],
    references: &[Vec<W>],
    lexicon: &mut Lexicon,
) -> Statistics {
    let hypothesis = line(hypothesis).replace(BARS, "").replace("  ", " ");
    let hypothesis = lexicon.sentence(&hypothesis);
    let mut best: Option<(f64, Statistics)> = None;
    for reference in references {
        for reference in line(reference).split(BARS) {
            let reference = lexicon.sentence(reference);
            let statistics = compare(&hypothesis, &reference, lexicon);
            let score = statistics.score();
            if best.as_ref().is_none_or(|(best, _)| score > *best) {
                best = Some((score, statistics));
            }
        }
    }
    best.map(|(_, statistics)| statistics).unwrap_or_default()
}

fn compare(hypothesis: &Sentence, reference: &Sentence, lexicon: &Lexicon) -> Statistics {
    let matches = matching::matches(hypothesis, reference, lexicon);
    let (ours, theirs) = (hypothesis.words.len(), reference.words.len());
    let alignment = alignment::align(&matches, ours, theirs);
    Statistics::new(hypothesis, reference, &alignment, lexicon)
}

/// What separates captions on a line to the tool. Its caller takes care of
/// hypotheses (and, in passing, of double blanks in them), not of references.
const BARS: &str = "|||";

fn line<W: AsRef<str>>(words: &[W]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(" ")
}
