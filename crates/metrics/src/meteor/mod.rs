//! METEOR 1.5 (Denkowski and Lavie 2014), English, as the COCO caption tool
//! calls it.
//!
//! METEOR aligns hypothesis and reference word by word. It matches equal words, words
//! with the same stem, WordNet synonyms, and paraphrases from a table learnt from
//! parallel text. The score is a mean of precision and recall that favours recall,
//! reduced by a penalty for an alignment in many chunks. Of several references, the one
//! with the highest score counts.
//!
//! Equal to `pycocoevalcap.meteor.meteor.Meteor`, version 1.2, which runs
//! `meteor-1.5.jar` with `-l en -norm`: parameters 0.85 0.2 0.6 0.75, weights
//! of the matchers 1.0 0.6 0.8 0.6, a beam of 40. This module keeps those quirks of
//! the tool that affect a score:
//!
//! - the tool normalises the tokeniser's output, and so splits some words again
//!   (`t-shirt`, `'s`) and joins others (`u.s.`);
//! - the search for an alignment is not exhaustive and breaks ties by the order in which
//!   it finds matches. It gives no credit to inexact matches of single words. So `dogs`
//!   and `dog`, which match both by stem and as synonyms, may stay unmatched because
//!   there are two matches to choose from;
//! - over a corpus, the tool does not count the chunk of an image whose caption matches
//!   completely;
//! - three bars in a row vanish from a hypothesis, and split a reference.
//!
//! # Data
//!
//! Word lists, synonyms and paraphrases are not part of this crate; they have their own
//! licences. The Python package `pycocoevalcap` 1.2 has them in its folder `meteor`:
//! `meteor-1.5.jar` and `data/paraphrase-en.gz`. [`Data::compile`] makes one file of
//! about 51 MB from them, in seconds; [`Data::open`] maps that file.
//!
//! `compile` writes this file, `file` and `tables` read it, and `place` finds it on the
//! machine. `normalise` splits a caption into words, `lexicon` looks them up, `alike`
//! rules most pairs out (by `bits`), `matching` finds possible matches of runs of words (`span`),
//! `alignment` selects from them, and `statistics` computes the score.
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
mod alike;
mod bits;
mod compile;
mod file;
mod lexicon;
mod matching;
mod normalise;
mod place;
mod span;
mod statistics;
mod tables;

pub use file::Data;

use crate::Corpus;
use crate::parallel::{cores, in_parts};
use alignment::Aligner;
use alike::Alike;
use lexicon::{Lexicon, Sentence, Vocabulary};
use matching::Matches;
use serde::{Deserialize, Serialize};
pub(crate) use statistics::Statistics;

/// METEOR, between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meteor {
    /// Of all images together: counts are summed before the score is computed.
    pub corpus: f64,
    /// Of each image alone, in the order given.
    pub per_image: Vec<f64>,
}

/// Scores one hypothesis per image against that image's references.
///
/// A caption is a list of words; for the official scores, of those of
/// [`ptb_lines`](crate::tokens::ptb_lines). Any list may be empty: an empty hypothesis
/// scores 0. Without images the corpus scores 0.
///
/// # Panics
/// If the slices differ in length or an image has no reference, which leaves nothing to
/// score against. Leave such images out first.
pub fn meteor<W: AsRef<str>>(
    data: &Data,
    hypotheses: &[Vec<W>],
    references: &[Vec<Vec<W>>],
) -> Meteor {
    Corpus::of_words(hypotheses, references).meteor(data, || ())
}

impl Corpus {
    /// [`meteor()`] of these captions. Calls `done` after each image, from several
    /// threads. A core scores some thousands of images per second.
    pub fn meteor(&self, data: &Data, done: impl Fn() + Sync) -> Meteor {
        let statistics = self.meteor_statistics(data, done);
        let mut total = Statistics::default();
        statistics.iter().for_each(|image| total.add(image));
        Meteor {
            corpus: total.score(),
            per_image: statistics.iter().map(Statistics::score).collect(),
        }
    }

    /// The statistics of each image.
    pub(crate) fn meteor_statistics(&self, data: &Data, done: impl Fn() + Sync) -> Vec<Statistics> {
        let words = self.words.list();
        let vocabulary = Vocabulary::new(data, &self.words);
        let parts = in_parts(self.images(), cores(), |images| {
            let mut scorer = Scorer {
                words: &words,
                lexicon: Lexicon::new(&vocabulary),
                hypothesis: Sentence::default(),
                alike: Alike::default(),
                reference: Sentence::default(),
                matches: Matches::default(),
                aligner: Aligner::default(),
            };
            let of_image = |image: usize| {
                let references = self.references(image);
                let statistics = scorer.best(self.hypothesis(image), references);
                done();
                statistics
            };
            images.map(of_image).collect::<Vec<Statistics>>()
        });
        parts.concat()
    }
}

/// Scores one image after another; each takes the memory of the one before.
struct Scorer<'a> {
    words: &'a [&'a str],
    lexicon: Lexicon<'a>,
    hypothesis: Sentence,
    alike: Alike,
    reference: Sentence,
    matches: Matches,
    aligner: Aligner,
}

impl Scorer<'_> {
    /// The statistics for the reference with the highest score, the first of equals.
    #[expect(
        clippy::expect_used,
        reason = "a corpus has a reference for each image"
    )]
    fn best<'a>(
        &mut self,
        hypothesis: &[u32],
        references: impl Iterator<Item = &'a [u32]>,
    ) -> Statistics {
        if self.lexicon.plain(hypothesis) {
            self.lexicon.look_up(hypothesis, &mut self.hypothesis);
        } else {
            let line = self.line(hypothesis).replace(BARS, "").replace("  ", " ");
            self.lexicon.normalise(&line, &mut self.hypothesis);
        }
        self.alike.set(&self.hypothesis.forms);
        let mut best: Option<(f64, Statistics)> = None;
        let mut compare = |scorer: &mut Self| {
            let statistics = scorer.compare();
            let score = statistics.score();
            if best.as_ref().is_none_or(|(best, _)| score > *best) {
                best = Some((score, statistics));
            }
        };
        for reference in references {
            if self.lexicon.plain(reference) {
                self.lexicon.look_up(reference, &mut self.reference);
                compare(self);
                continue;
            }
            for reference in self.line(reference).split(BARS) {
                self.lexicon.normalise(reference, &mut self.reference);
                compare(self);
            }
        }
        best.expect("a reference").1
    }

    /// A caption's words as one line.
    fn line(&self, caption: &[u32]) -> String {
        let words: Vec<&str> = (caption.iter())
            .map(|&id| self.words[id as usize])
            .collect();
        words.join(" ")
    }

    /// The statistics of hypothesis and reference.
    fn compare(&mut self) -> Statistics {
        let Scorer {
            lexicon,
            hypothesis,
            reference,
            matches,
            ..
        } = self;
        matches.find((hypothesis, &self.alike), reference, lexicon);
        let (ours, theirs) = (hypothesis.words.len(), reference.words.len());
        let alignment = self.aligner.align(matches, ours, theirs);
        Statistics::new(hypothesis, reference, alignment, lexicon)
    }
}

/// The separator of captions on the tool's input line. Its Python caller removes it from
/// hypotheses (and also replaces double blanks in them), but not from references.
const BARS: &str = "|||";
