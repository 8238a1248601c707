//! METEOR 1.5 (Denkowski and Lavie 2014), English.

mod alignment;
mod compile;
mod file;
mod lexicon;
mod matching;
mod normalise;
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
    let hypothesis = lexicon.sentence(&hypothesis_line(hypothesis));
    let mut best: Option<(f64, Statistics)> = None;
    for reference in references {
        for line in line(reference).split(SEPARATOR) {
            let reference = lexicon.sentence(line);
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

/// What the tool puts between captions.
const SEPARATOR: &str = "|||";

fn line<W: AsRef<str>>(words: &[W]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(" ")
}

fn hypothesis_line<W: AsRef<str>>(words: &[W]) -> String {
    line(words).replace(SEPARATOR, "").replace("  ", " ")
}
