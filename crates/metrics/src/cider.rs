//! CIDEr-D (Vedantam et al. 2015), which the COCO caption tool reports as
//! "CIDEr".
//!
//! n-grams are weighted by how rare they are among the images' references, so
//! it matters which images those are: the tool takes the images that are being
//! evaluated ([`cider`]). [`DocumentFrequencies`] can also be built once, from a
//! training split, saved and used again ([`cider_with`]): the score of a caption
//! then does not depend on the captions around it, as training by reward needs.

use crate::ngrams::{ORDERS, Words, check, grams, ngrams, pack};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufRead, Write};

/// Width of the penalty for a difference in length.
const SIGMA: f64 = 6.0;
/// First line of a saved table.
const HEADER: &str = "document frequencies of n-grams, images: ";

/// CIDEr-D, between 0 and 10; the field prints it as it is, or times 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cider {
    /// The mean over the images.
    pub corpus: f64,
    /// Of each image, in the order given.
    pub per_image: Vec<f64>,
}

/// Scores one hypothesis per image against that image's references, both as
/// lists of words; rarity is counted over these very references. Without images
/// the corpus scores 0; so does a single image, as nothing in it is rare.
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
    cider_with(
        &DocumentFrequencies::new(references),
        hypotheses,
        references,
    )
}

/// As [`cider`], with rarity from a table that was made before.
///
/// # Panics
/// If the slices differ in length, or an image has no reference at all.
pub fn cider_with<W: AsRef<str>>(
    frequencies: &DocumentFrequencies,
    hypotheses: &[Vec<W>],
    references: &[Vec<Vec<W>>],
) -> Cider {
    check(hypotheses.len(), references);
    let mut words = Words::after(&frequencies.words);
    let mut per_image = Vec::with_capacity(hypotheses.len());
    for (hypothesis, references) in hypotheses.iter().zip(references) {
        let hypothesis = frequencies.weigh(&words.ids(hypothesis));
        let similarities = references
            .iter()
            .map(|reference| hypothesis.similarity(&frequencies.weigh(&words.ids(reference))));
        per_image.push(10.0 * similarities.sum::<f64>() / references.len() as f64);
    }
    Cider {
        corpus: per_image.iter().sum::<f64>() / per_image.len().max(1) as f64,
        per_image,
    }
}

/// In the references of how many images each n-gram stands, n = 1 to 4.
///
/// Saved as text that a person can read: a line that says how many images were
/// counted, then `count TAB words` for each n-gram. n-grams of a single image
/// are left out, as they weigh the same as those of none.
///
/// ```
/// use attend_metrics::cider::DocumentFrequencies;
/// let train = [vec![vec!["a", "cat"]], vec![vec!["a", "dog"], vec!["the", "dog"]]];
/// let table = DocumentFrequencies::new(&train);
/// let mut file = Vec::new();
/// table.write(&mut file)?;
/// let text = String::from_utf8_lossy(&file);
/// assert_eq!(text, "document frequencies of n-grams, images: 2\n2\ta\n");
/// let same = DocumentFrequencies::read(&file[..])?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DocumentFrequencies {
    images: u64,
    /// Numbers of the words, from 1.
    words: HashMap<String, u32>,
    /// Of n-grams of these numbers; only what is above 1.
    counts: HashMap<u128, u32>,
}

impl DocumentFrequencies {
    /// Counts the references of some images.
    pub fn new<W: AsRef<str>>(references: &[Vec<Vec<W>>]) -> Self {
        let mut words = Words::new();
        let captions: Vec<Vec<Vec<u32>>> = references
            .iter()
            .map(|image| image.iter().map(|r| words.ids(r)).collect())
            .collect();
        let mut all = Vec::new();
        let mut of_image = Vec::new();
        for captions in &captions {
            of_image.clear();
            for ids in captions {
                (1..=ORDERS).for_each(|n| of_image.extend(ngrams(n, ids)));
            }
            of_image.sort_unstable();
            of_image.dedup();
            all.extend(&of_image);
        }
        all.sort_unstable();
        let runs = all.chunk_by(|a, b| a == b).filter(|run| run.len() > 1);
        DocumentFrequencies {
            images: references.len() as u64,
            counts: runs.map(|run| (run[0], run.len() as u32)).collect(),
            words: words.into_new(),
        }
    }

    /// Saves the table; the same references always give the same bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut names = vec![""; self.words.len() + 1];
        for (word, &id) in &self.words {
            names[id as usize] = word;
        }
        let mut lines: Vec<(String, u32)> = self
            .counts
            .iter()
            .map(|(&gram, &count)| {
                let words: Vec<&str> = unpack(gram).map(|id| names[id]).collect();
                (words.join(" "), count)
            })
            .collect();
        lines.sort_unstable();
        writeln!(out, "{HEADER}{}", self.images)?;
        for (gram, count) in lines {
            writeln!(out, "{count}\t{gram}")?;
        }
        out.flush()
    }

    /// Reads a saved table.
    ///
    /// # Errors
    /// Those of `input`; [`io::ErrorKind::InvalidData`], with the line, where it
    /// is no such table.
    pub fn read(input: impl BufRead) -> io::Result<Self> {
        let mut lines = input.lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let images = first.strip_prefix(HEADER).and_then(|n| n.parse().ok());
        let mut table = DocumentFrequencies {
            images: images.ok_or_else(|| bad(1, "not a table of document frequencies"))?,
            words: HashMap::new(),
            counts: HashMap::new(),
        };
        for (number, line) in (2..).zip(lines) {
            table.enter(&line?).ok_or_else(|| {
                bad(
                    number,
                    "not `count TAB 1 to 4 words`, or a count that can't be",
                )
            })?;
        }
        Ok(table)
    }

    fn enter(&mut self, line: &str) -> Option<()> {
        let (count, gram) = line.split_once('\t')?;
        let count: u32 = count.parse().ok()?;
        let mut ids = Vec::with_capacity(ORDERS);
        for word in gram.split(' ') {
            let next = self.words.len() as u32 + 1;
            ids.push(*self.words.entry(word.to_owned()).or_insert(next));
        }
        let fits = ids.len() <= ORDERS && (1..=self.images).contains(&count.into());
        fits.then(|| self.counts.insert(pack(&ids), count))?;
        Some(())
    }

    /// The caption's n-grams with tf-idf weights.
    fn weigh(&self, ids: &[u32]) -> Weighted {
        // Of no image at all, nothing is rare; the tool never comes here.
        let all = (self.images.max(1) as f64).ln();
        Weighted {
            // What the tool takes for the length: its loop counts bigrams.
            length: ids.len().saturating_sub(1) as f64,
            orders: std::array::from_fn(|k| {
                let weigh = |(gram, count)| {
                    let documents = self.counts.get(&gram).copied().unwrap_or(1);
                    (gram, count as f64 * (all - f64::from(documents).ln()))
                };
                let weights: Vec<(u128, f64)> = grams(k + 1, ids).into_iter().map(weigh).collect();
                let squares: f64 = weights.iter().map(|(_, w)| w * w).sum();
                (weights, squares.sqrt())
            }),
        }
    }
}

/// A caption as a vector for each order of n-grams, with its norm; n-grams
/// ascend.
struct Weighted {
    orders: [(Vec<(u128, f64)>, f64); ORDERS],
    length: f64,
}

impl Weighted {
    /// Mean over the orders of the clipped cosine, times a penalty for a
    /// difference in length.
    fn similarity(&self, reference: &Weighted) -> f64 {
        let difference = self.length - reference.length;
        let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
        let orders = self.orders.iter().zip(&reference.orders);
        let cosines = orders.map(|((ours, norm), (theirs, their_norm))| {
            if *norm > 0.0 && *their_norm > 0.0 {
                clipped_product(ours, theirs) / (norm * their_norm)
            } else {
                0.0
            }
        });
        penalty * cosines.sum::<f64>() / ORDERS as f64
    }
}

/// Product of two vectors in which no n-gram of ours counts for more than it
/// weighs in the reference.
fn clipped_product(ours: &[(u128, f64)], theirs: &[(u128, f64)]) -> f64 {
    let mut theirs = theirs.iter().peekable();
    let mut product = 0.0;
    for (gram, weight) in ours {
        while theirs.next_if(|(g, _)| g < gram).is_some() {}
        if let Some((_, their_weight)) = theirs.next_if(|(g, _)| g == gram) {
            product += weight.min(*their_weight) * their_weight;
        }
    }
    product
}

/// Numbers of an n-gram's words.
fn unpack(gram: u128) -> impl Iterator<Item = usize> {
    let ids = (0..ORDERS)
        .rev()
        .map(move |k| (gram >> (32 * k)) as u32 as usize);
    ids.skip_while(|&id| id == 0)
}

fn bad(line: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {what}"))
}
