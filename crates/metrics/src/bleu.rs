//! BLEU (Papineni et al. 2002) as the COCO caption tool computes it.
//!
//! The tool departs from the paper in two ways, and so does this module:
//!
//! - each precision is `(correct + 1e-15) / (guess + 1e-9)`, so that there is no
//!   division by zero and a missing match gives nearly, not exactly, zero;
//! - the brevity penalty uses the reference whose length is *closest* to the
//!   hypothesis's, and of two that are equally close the shorter.

use crate::corpus::{Corpus, ORDERS};
use crate::ngrams::{Gram, Grams, bits};
use crate::parallel::{cores, in_parts};
use serde::{Deserialize, Serialize};

/// Added to numerators.
const TINY: f64 = 1e-15;
/// Added to denominators.
const SMALL: f64 = 1e-9;

/// BLEU-1 to BLEU-4, each between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bleu {
    /// Of all images together: counts are summed before precisions are computed.
    pub corpus: [f64; ORDERS],
    /// Of each image alone, in the order given.
    pub per_image: Vec<[f64; ORDERS]>,
}

/// Scores one hypothesis per image against that image's references.
///
/// A hypothesis or reference is a list of words, from a tokeniser of
/// [`crate::tokens`] or any other. Words are equal if they are equal strings.
/// Either list may be empty: an empty hypothesis scores 0. Without images the
/// corpus scores 0.
///
/// Equal to `pycocoevalcap.bleu.bleu.Bleu(4)`, version 1.2, to within rounding.
///
/// # Panics
/// If the slices differ in length or an image has no reference, which leaves
/// nothing to score against. Leave such images out first.
///
/// ```
/// let hypothesis = vec!["a", "cat", "on", "a", "mat"];
/// let reference = vec!["the", "cat", "sat", "on", "a", "mat"];
/// let scores = attend_metrics::bleu(&[hypothesis], &[vec![reference]]);
/// // 4 of 5 words match, and the hypothesis is one word short: 4/5 * exp(1 - 6/5)
/// assert!((scores.corpus[0] - 0.8 * (-0.2f64).exp()).abs() < 1e-8);
/// ```
pub fn bleu<W: AsRef<str>>(hypotheses: &[Vec<W>], references: &[Vec<Vec<W>>]) -> Bleu {
    Corpus::of_words(hypotheses, references).bleu()
}

impl Corpus {
    /// [`bleu`] of these captions.
    pub fn bleu(&self) -> Bleu {
        let counts = self.bleu_counts();
        let mut total = Counts::default();
        counts.iter().for_each(|image| total.add(image));
        Bleu {
            corpus: total.scores(),
            per_image: counts.iter().map(Counts::scores).collect(),
        }
    }

    /// The counts of each image.
    pub(crate) fn bleu_counts(&self) -> Vec<Counts> {
        let bits = bits(self.words.len());
        if bits * ORDERS as u32 <= u64::BITS {
            self.bleu_counts_of::<u64>(bits)
        } else {
            self.bleu_counts_of::<u128>(u32::BITS)
        }
    }

    fn bleu_counts_of<G: Gram>(&self, bits: u32) -> Vec<Counts> {
        let parts = in_parts(self.images(), cores(), |images| {
            let mut room = Vec::new();
            let mut grams = [Grams::<G>::new(), Grams::new()];
            let mut count = |image: usize| {
                let [ours, theirs] = &mut grams;
                let hypothesis = self.split(self.hypothesis(image), &mut room);
                let length = hypothesis.len();
                ours.count(hypothesis, bits);
                let mut found = vec![0; ours.counted.len()];
                let mut closest = usize::MAX;
                for reference in self.references(image) {
                    let reference = self.split(reference, &mut room);
                    // Of two equally close lengths, the shorter.
                    let distance = |l: usize| (l.abs_diff(length), l);
                    if closest == usize::MAX || distance(reference.len()) < distance(closest) {
                        closest = reference.len();
                    }
                    theirs.count(reference, bits);
                    raise_counts(ours, theirs, &mut found);
                }
                Counts::new(length, closest, ours, &found)
            };
            images.map(&mut count).collect::<Vec<Counts>>()
        });
        parts.concat()
    }
}

/// `found` holds, for each n-gram of the hypothesis, its greatest count in any reference
/// so far. Raises it to the counts in `theirs`.
fn raise_counts<G: Gram>(ours: &Grams<G>, theirs: &Grams<G>, found: &mut [u32]) {
    let mut place = 0;
    for k in 0..ORDERS {
        let mut theirs = theirs.order(k).iter().peekable();
        for (gram, _) in ours.order(k) {
            // both lists ascend: skip the smaller n-grams of the reference
            while theirs.next_if(|(g, _)| g < gram).is_some() {}
            if let Some((_, count)) = theirs.next_if(|(g, _)| g == gram) {
                found[place] = found[place].max(*count);
            }
            place += 1;
        }
    }
}

/// All that BLEU needs from an image or, summed, from a corpus.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    /// Words of the hypothesis.
    length: u64,
    /// Words of the reference that is closest in length.
    reference_length: u64,
    /// n-grams of the hypothesis, n = 1 to 4.
    guess: [u64; ORDERS],
    /// Those of them that occur in a reference. Each counts at most as often as in the
    /// reference in which it is most frequent.
    correct: [u64; ORDERS],
}

impl Counts {
    fn new<G: Gram>(length: usize, closest: usize, ours: &Grams<G>, found: &[u32]) -> Self {
        let mut found = found.iter();
        let mut correct = |k: usize| {
            let order = ours.order(k).iter().zip(&mut found);
            order
                .map(|((_, count), found)| u64::from(*found.min(count)))
                .sum()
        };
        Counts {
            length: length as u64,
            reference_length: closest as u64,
            guess: std::array::from_fn(|k| length.saturating_sub(k) as u64),
            correct: std::array::from_fn(&mut correct),
        }
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        self.length += other.length;
        self.reference_length += other.reference_length;
        for k in 0..ORDERS {
            self.guess[k] += other.guess[k];
            self.correct[k] += other.correct[k];
        }
    }

    /// BLEU-n: the geometric mean of the first n precisions, times the brevity
    /// penalty.
    pub(crate) fn scores(&self) -> [f64; ORDERS] {
        let ratio = (self.length as f64 + TINY) / (self.reference_length as f64 + SMALL);
        let penalty = if ratio < 1.0 {
            (1.0 - 1.0 / ratio).exp()
        } else {
            1.0
        };
        let mut product = 1.0f64;
        let mut scores = [0.0; ORDERS];
        for (k, score) in scores.iter_mut().enumerate() {
            product *= (self.correct[k] as f64 + TINY) / (self.guess[k] as f64 + SMALL);
            *score = product.powf(1.0 / (k + 1) as f64) * penalty;
        }
        scores
    }
}
