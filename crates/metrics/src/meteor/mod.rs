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
//! use attend_metrics::meteor::{Data, meteor};
//! use attend_metrics::tokens::ptb;
//! use std::path::Path;
//!
//! # fn main() -> Result<(), attend_metrics::Error> {
//! let file = Path::new("english.meteor");
//! Data::compile(Path::new("site-packages/pycocoevalcap/meteor"), file)?;
//!
//! let data = Data::open(file)?;
//! let scores = meteor(
//!     &data,
//!     &[ptb("A hound runs on the beach.")],
//!     &[vec![ptb("A dog is running on the beach.")]],
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

pub use file::Data;

use crate::Corpus;
use lexicon::{Lexicon, Sentence};
use serde::{Deserialize, Serialize};
use statistics::Statistics;

/// METEOR, between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meteor {
    /// Of all images together: counts are summed before they are divided.
    pub corpus: f64,
    /// Of each image alone, in the order given.
    pub per_image: Vec<f64>,
}

/// Scores one hypothesis per image against that image's references.
///
/// A caption is a list of words (the official scores are those of
/// [`ptb_lines`](crate::tokens::ptb_lines)). Any may be empty: an empty
/// hypothesis scores 0. Without images the corpus scores 0.
///
/// # Panics
/// If the slices differ in length, or an image has no reference at all:
/// there is no score that could be given. Leave such images out first.
pub fn meteor<W: AsRef<str>>(
    data: &Data,
    hypotheses: &[Vec<W>],
    references: &[Vec<Vec<W>>],
) -> Meteor {
    Corpus::of_words(hypotheses, references).meteor(data, || ())
}

impl Corpus {
    /// [`meteor()`] of these captions. Calls `done` after each image, from several
    /// threads: a core scores some thousands of images in a second.
    pub fn meteor(&self, data: &Data, done: impl Fn() + Sync) -> Meteor {
        let words = self.words.list();
        let parts = crate::in_parts(self.images(), crate::cores(), |images| {
            let mut lexicon = Lexicon::new(data);
            let of_image = |image: usize| {
                let line = |caption: &[u32]| {
                    let words: Vec<&str> = caption.iter().map(|&id| words[id as usize]).collect();
                    words.join(" ")
                };
                let hypothesis = line(self.hypothesis(image));
                let statistics = best(&hypothesis, self.references(image).map(line), &mut lexicon);
                done();
                statistics
            };
            images.map(of_image).collect::<Vec<Statistics>>()
        });
        // Summed in the order of the images: on any number of cores the same.
        let statistics = parts.concat();
        let mut total = Statistics::default();
        statistics.iter().for_each(|image| total.add(image));
        Meteor {
            corpus: total.score(),
            per_image: statistics.iter().map(Statistics::score).collect(),
        }
    }
}

/// Statistics against the reference that gives the highest score, the first of
/// equals.
fn best(
    hypothesis: &str,
    references: impl Iterator<Item = String>,
    lexicon: &mut Lexicon,
) -> Statistics {
    let hypothesis = hypothesis.replace(BARS, "").replace("  ", " ");
    let hypothesis = lexicon.sentence(&hypothesis);
    let mut best: Option<(f64, Statistics)> = None;
    for reference in references {
        for reference in reference.split(BARS) {
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
