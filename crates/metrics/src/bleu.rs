//! BLEU (Papineni et al. 2002) as the COCO caption tool computes it.
//!
//! The tool departs from the paper in two ways, and so does this module:
//!
//! - each precision is `(correct + 1e-15) / (guess + 1e-9)`, so that nothing is
//!   ever divided by zero and a missing match gives nearly, not exactly, zero;
//! - the brevity penalty compares with the reference *closest* in length to the
//!   hypothesis, the shorter of two that are equally close.

use crate::ngrams::{ORDERS, Words, check, grams};
use serde::{Deserialize, Serialize};

/// Added to numerators.
const TINY: f64 = 1e-15;
/// Added to denominators.
const SMALL: f64 = 1e-9;

/// BLEU-1 to BLEU-4, each between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bleu {
    /// Of all images together: counts are summed before precisions are taken.
    pub corpus: [f64; ORDERS],
    /// Of each image alone, in the order given.
    pub per_image: Vec<[f64; ORDERS]>,
}

/// Scores one hypothesis per image against that image's references.
///
/// A hypothesis, and a reference, is a list of words (of a tokeniser of
/// [`crate::tokens`] or any other); they count as equal when they are equal
/// strings. Either may be empty: an empty hypothesis scores 0. Without images
/// the corpus scores 0.
///
/// Equal to `pycocoevalcap.bleu.bleu.Bleu(4)`, version 1.2, to within rounding.
///
/// # Panics
/// If the slices differ in length, or an image has no reference at all: there
/// is no score that could be given. Leave such images out first.
///
/// ```
/// let hypothesis = vec!["a", "cat", "on", "a", "mat"];
/// let reference = vec!["the", "cat", "sat", "on", "a", "mat"];
/// let scores = attend_metrics::bleu(&[hypothesis], &[vec![reference]]);
/// // 4 of 5 words match, and the hypothesis is one word short: 4/5 * exp(1 - 6/5)
/// assert!((scores.corpus[0] - 0.8 * (-0.2f64).exp()).abs() < 1e-8);
/// ```
pub fn bleu<W: AsRef<str>>(hypotheses: &[Vec<W>], references: &[Vec<Vec<W>>]) -> Bleu {
    check(hypotheses.len(), references);
    let mut words = Words::new();
    let mut total = Counts::default();
    let mut per_image = Vec::with_capacity(hypotheses.len());
    for (hypothesis, references) in hypotheses.iter().zip(references) {
        let hypothesis = words.ids(hypothesis);
        let references: Vec<Vec<u32>> = references.iter().map(|r| words.ids(r)).collect();
        let counts = Counts::of(&hypothesis, &references);
        per_image.push(counts.scores());
        total.add(&counts);
    }
    Bleu {
        corpus: total.scores(),
        per_image,
    }
}

/// All that BLEU needs of an image, or, summed, of a corpus.
#[derive(Default)]
struct Counts {
    /// Words of the hypothesis.
    length: u64,
    /// Words of the reference that is closest in length.
    reference_length: u64,
    /// n-grams of the hypothesis, n = 1 to 4.
    guess: [u64; ORDERS],
    /// Those of them that a reference holds, each at most as often as the
    /// reference that holds it most often.
    correct: [u64; ORDERS],
}

impl Counts {
    fn of(hypothesis: &[u32], references: &[Vec<u32>]) -> Self {
        let mut counts = Counts {
            length: hypothesis.len() as u64,
            reference_length: closest(hypothesis.len(), references) as u64,
            ..Counts::default()
        };
        for n in 1..=ORDERS {
            counts.guess[n - 1] = (hypothesis.len() + 1).saturating_sub(n) as u64;
            counts.correct[n - 1] = correct(n, hypothesis, references);
        }
        counts
    }

    fn add(&mut self, other: &Counts) {
        self.length += other.length;
        self.reference_length += other.reference_length;
        for k in 0..ORDERS {
            self.guess[k] += other.guess[k];
            self.correct[k] += other.correct[k];
        }
    }

    /// BLEU-n: the geometric mean of the first n precisions, times the penalty
    /// for being shorter than the reference.
    fn scores(&self) -> [f64; ORDERS] {
        let ratio = (self.length as f64 + TINY) / (self.reference_length as f64 + SMALL);
        let penalty = if ratio < 1.0 {
            (1.0 - 1.0 / ratio).exp()
        } else {
            1.0
        };
        let mut product = 1.0;
        let mut scores = [0.0; ORDERS];
        for (k, score) in scores.iter_mut().enumerate() {
            product *= (self.correct[k] as f64 + TINY) / (self.guess[k] as f64 + SMALL);
            *score = product.powf(1.0 / (k + 1) as f64) * penalty;
        }
        scores
    }
}

/// Length of the reference that is closest to `length`; ties go to the shorter.
fn closest(length: usize, references: &[Vec<u32>]) -> usize {
    let lengths = references.iter().map(Vec::len);
    lengths
        .min_by_key(|&l| (l.abs_diff(length), l))
        .unwrap_or(0)
}

/// How many n-grams of the hypothesis are found in the references.
fn correct(n: usize, hypothesis: &[u32], references: &[Vec<u32>]) -> u64 {
    let guesses = grams(n, hypothesis);
    let mut found = vec![0; guesses.len()];
    for reference in references {
        let mut theirs = grams(n, reference).into_iter().peekable();
        for ((gram, _), found) in guesses.iter().zip(&mut found) {
            // both lists ascend: skip what is below, look at what is left
            while theirs.next_if(|(g, _)| g < gram).is_some() {}
            if let Some((_, count)) = theirs.next_if(|(g, _)| g == gram) {
                *found = count.max(*found);
            }
        }
    }
    let clipped = guesses.iter().zip(found).map(|((_, c), f)| f.min(*c));
    clipped.sum()
}
