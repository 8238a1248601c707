//! ROUGE-L (Lin 2004) as the COCO caption tool computes it.
//!
//! Precision and recall come from the longest common subsequence with a
//! reference. The tool takes the best precision and the best recall over an
//! image's references; the two may come from different references.

use crate::corpus::Corpus;
use crate::parallel::{cores, in_parts};
use serde::{Deserialize, Serialize};

/// Weight of recall relative to precision.
const BETA: f64 = 1.2;

/// ROUGE-L, between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rouge {
    /// The mean over the images.
    pub corpus: f64,
    /// Of each image, in the order given.
    pub per_image: Vec<f64>,
}

/// Scores one hypothesis per image against that image's references, both as
/// lists of words. Without images the corpus scores 0.
///
/// Equal to `pycocoevalcap.rouge.rouge.Rouge()`, version 1.2, to within
/// rounding. The tool counts an empty caption as one empty word: an empty
/// hypothesis scores 0, unless a reference is empty too.
///
/// # Panics
/// If the slices differ in length, or an image has no reference at all.
///
/// ```
/// let hypothesis = vec!["a", "cat", "on", "a", "mat"];
/// let reference = vec!["the", "cat", "sat", "on", "a", "mat"];
/// let scores = attend_metrics::rouge(&[hypothesis], &[vec![reference]]);
/// // "cat on a mat" is common: precision 4/5, recall 4/6
/// let (p, r, b) = (4.0 / 5.0, 4.0 / 6.0, 1.2 * 1.2);
/// assert!((scores.corpus - (1.0 + b) * p * r / (r + b * p)).abs() < 1e-12);
/// ```
pub fn rouge<W: AsRef<str>>(hypotheses: &[Vec<W>], references: &[Vec<Vec<W>>]) -> Rouge {
    Corpus::of_words(hypotheses, references).rouge()
}

impl Corpus {
    /// [`rouge`] of these captions.
    pub fn rouge(&self) -> Rouge {
        let parts = in_parts(self.images(), cores(), |images| {
            let mut lengths = Vec::new();
            let score = |image| score(self.hypothesis(image), self.references(image), &mut lengths);
            images.map(score).collect::<Vec<f64>>()
        });
        let per_image = parts.concat();
        Rouge {
            corpus: per_image.iter().sum::<f64>() / per_image.len().max(1) as f64,
            per_image,
        }
    }
}

fn score<'a>(
    hypothesis: &[u32],
    references: impl Iterator<Item = &'a [u32]>,
    lengths: &mut Vec<usize>,
) -> f64 {
    let hypothesis = filled(hypothesis);
    let (mut precision, mut recall) = (0.0f64, 0.0f64);
    for reference in references {
        let reference = filled(reference);
        let common = common_subsequence(hypothesis, reference, lengths) as f64;
        precision = precision.max(common / hypothesis.len() as f64);
        recall = recall.max(common / reference.len() as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    let weight = BETA * BETA;
    (1.0 + weight) * precision * recall / (recall + weight * precision)
}

/// An empty caption becomes one word, 0, that no other caption has.
fn filled(caption: &[u32]) -> &[u32] {
    if caption.is_empty() { &[0] } else { caption }
}

/// Length of the longest common subsequence. `lengths` is a work buffer.
fn common_subsequence(a: &[u32], b: &[u32], lengths: &mut Vec<usize>) -> usize {
    lengths.clear();
    lengths.resize(b.len() + 1, 0);
    for word in a {
        let mut diagonal = 0; // previous row, one column to the left
        for (j, other) in b.iter().enumerate() {
            let above = lengths[j + 1];
            lengths[j + 1] = if word == other {
                diagonal + 1
            } else {
                above.max(lengths[j])
            };
            diagonal = above;
        }
    }
    lengths[b.len()]
}
