//! CIDEr-D (Vedantam et al. 2015), which the COCO caption tool reports as
//! "CIDEr".
//!
//! CIDEr weighs an n-gram by how few images' references contain it, so it matters
//! which images these are. The tool counts the images being evaluated ([`cider`]).
//! You can also build [`DocumentFrequencies`] once, from a training split, save them and
//! use them again ([`cider_with`]). Then the score of a caption does not depend on
//! the captions around it, as training by reward requires.

//!
//! - `frequencies`: the table of document frequencies; `vector`: a caption as weighted
//!   n-grams, and the similarity of two.
//! - `rewards`: [`Rewards`], for training: the references of many images, prepared once.

mod frequencies;
mod rewards;
mod vector;

pub use frequencies::DocumentFrequencies;
pub use rewards::Rewards;

use crate::corpus::{Corpus, ORDERS};
use crate::ngrams::{Gram, bits};
use crate::parallel::{cores, in_parts};
use serde::{Deserialize, Serialize};
use vector::{Rarity, Vector};

/// CIDEr-D, between 0 and 10; papers print it unchanged or times 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cider {
    /// The mean over the images.
    pub corpus: f64,
    /// Of each image, in the order given.
    pub per_image: Vec<f64>,
    /// Whether the formula gives 0 for any hypotheses: with a single image, or if the
    /// references of all images are alike, no n-gram is rarer than another.
    pub degenerate: bool,
}

/// Scores one hypothesis per image against that image's references, both as
/// lists of words. Document frequencies are counted over the same references. Without
/// images the corpus scores 0; so does a single image, because nothing in it is rare
/// ([`Cider::degenerate`]).
///
/// Equal to `pycocoevalcap.cider.cider.Cider()`, version 1.2, to within rounding.
///
/// # Panics
/// If the slices differ in length, or an image has no reference at all.
///
/// ```
/// let references = [
///     vec![vec!["a", "cat", "on", "a", "mat"]],
///     vec![vec!["two", "red", "buses", "at", "night"]],
/// ];
/// let hypotheses: Vec<_> = references.iter().map(|r| r[0].clone()).collect();
/// let scores = attend_metrics::cider(&hypotheses, &references);
/// assert!((scores.corpus - 10.0).abs() < 1e-12); // each is its own reference
/// ```
pub fn cider<W: AsRef<str>>(hypotheses: &[Vec<W>], references: &[Vec<Vec<W>>]) -> Cider {
    Corpus::of_words(hypotheses, references).cider()
}

/// Like [`cider`], with document frequencies from a table made before.
///
/// # Panics
/// If the slices differ in length, or an image has no reference at all.
pub fn cider_with<W: AsRef<str>>(
    frequencies: &DocumentFrequencies,
    hypotheses: &[Vec<W>],
    references: &[Vec<Vec<W>>],
) -> Cider {
    Corpus::of_words(hypotheses, references).cider_with(frequencies)
}

impl Corpus {
    /// [`cider`] of these captions.
    pub fn cider(&self) -> Cider {
        let bits = bits(self.words.len());
        if bits * ORDERS as u32 <= u64::BITS {
            self.cider_among::<u64>(bits)
        } else {
            self.cider_among::<u128>(u32::BITS)
        }
    }

    fn cider_among<G: Gram>(&self, bits: u32) -> Cider {
        let counts = self.documents::<G>(bits);
        self.cider_of(&Rarity::new(self.images() as u64, &counts, bits), None)
    }

    /// [`cider_with`] of these captions.
    pub fn cider_with(&self, frequencies: &DocumentFrequencies) -> Cider {
        // Our words get the table's numbers; words that the table lacks get new ones.
        let mut next = frequencies.words.len() as u32;
        let mut number = |word: &str| {
            frequencies.words.get(word).unwrap_or_else(|| {
                next += 1;
                next
            })
        };
        let words = self.words.list();
        let numbers: Vec<u32> = words.into_iter().map(&mut number).collect();
        let rarity = Rarity::new(frequencies.images, &frequencies.counts, u32::BITS);
        self.cider_of(&rarity, Some(&numbers))
    }

    fn cider_of<G: Gram>(&self, rarity: &Rarity<G>, numbers: Option<&[u32]>) -> Cider {
        let parts = in_parts(self.images(), cores(), |images| {
            let mut room = [Vec::new(), Vec::new()];
            let mut vectors = [Vector::new(), Vector::new()];
            let mut degenerate = true;
            let mut score = |image: usize| {
                let [ours, theirs] = &mut vectors;
                let hypothesis = self.hypothesis(image);
                ours.weigh(self.renumbered(hypothesis, numbers, &mut room), rarity);
                let references = self.references(image);
                let count = references.len() as f64;
                let similarity = |reference| {
                    theirs.weigh(self.renumbered(reference, numbers, &mut room), rarity);
                    degenerate &= theirs.norms == [0.0; ORDERS];
                    ours.similarity(theirs)
                };
                10.0 * references.map(similarity).sum::<f64>() / count
            };
            let scores: Vec<f64> = images.map(&mut score).collect();
            (scores, degenerate)
        });
        let degenerate = parts.iter().all(|(_, degenerate)| *degenerate);
        let per_image: Vec<f64> = parts.into_iter().flat_map(|(scores, _)| scores).collect();
        Cider {
            corpus: per_image.iter().sum::<f64>() / per_image.len().max(1) as f64,
            per_image,
            degenerate,
        }
    }

    fn renumbered<'a>(
        &'a self,
        caption: &'a [u32],
        numbers: Option<&[u32]>,
        [split, room]: &'a mut [Vec<u32>; 2],
    ) -> &'a [u32] {
        let caption = self.split(caption, split);
        let Some(numbers) = numbers else {
            return caption;
        };
        room.clear();
        room.extend(caption.iter().map(|&id| numbers[id as usize]));
        room
    }
}
