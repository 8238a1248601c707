//! CIDEr-D (Vedantam et al. 2015), which the COCO caption tool reports as
//! "CIDEr".
//!
//! CIDEr weighs an n-gram by how few images' references contain it, so it matters
//! which images these are. The tool counts the images being evaluated ([`cider`]).
//! You can also build [`DocumentFrequencies`] once, from a training split, save them and
//! use them again ([`cider_with`]). Then the score of a caption does not depend on
//! the captions around it, as training by reward requires.

use crate::corpus::{Corpus, ORDERS, Words};
use crate::ngrams::{Gram, Grams, bits};
use crate::parallel::{cores, in_parts};
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufRead, Write};

/// Width of the Gaussian penalty for a difference in length.
const SIGMA: f64 = 6.0;
/// First line of a saved table.
const HEADER: &str = "document frequencies of n-grams, images: ";

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

    /// For each n-gram, the number of images whose references contain it. Holds only
    /// numbers above 1, because 0 and 1 weigh the same.
    fn documents<G: Gram>(&self, bits: u32) -> DocumentCounts<G> {
        let threads = cores().min(ORDERS);
        let parts = in_parts(ORDERS, threads, |orders| {
            let of_order = |k| self.documents_of_order::<G>(k + 1, bits);
            orders.map(of_order).collect::<Vec<_>>()
        });
        let parts: Vec<Vec<(G, u32)>> = parts.into_iter().flatten().collect();
        let grams = parts.iter().map(Vec::len).sum();
        let mut counts = DocumentCounts::with_capacity_and_hasher(grams, FixedState::default());
        parts.into_iter().for_each(|part| counts.extend(part));
        counts
    }

    fn documents_of_order<G: Gram>(&self, n: usize, bits: u32) -> Vec<(G, u32)> {
        let mut room = Vec::new();
        let mut of_image = Vec::new();
        let mut all = Vec::with_capacity(self.references.ids.len());
        for image in 0..self.images() {
            of_image.clear();
            for reference in self.references(image) {
                let words = self.split(reference, &mut room);
                of_image.extend(words.windows(n).map(|gram| G::pack(gram, bits)));
            }
            of_image.sort_unstable();
            of_image.dedup();
            all.extend_from_slice(&of_image);
        }
        all.sort_unstable();
        let runs = all.chunk_by(|a, b| a == b).filter(|run| run.len() > 1);
        runs.map(|run| (run[0], run.len() as u32)).collect()
    }
}

type DocumentCounts<G> = HashMap<G, u32, FixedState>;

/// Weights of n-grams: inverse document frequencies.
struct Rarity<'a, G> {
    counts: &'a DocumentCounts<G>,
    bits: u32,
    /// Logarithm of the number of images.
    log_images: f64,
    /// Weight of an n-gram by the number of images that have it, for small numbers.
    weights: Vec<f64>,
}

impl<'a, G: Gram> Rarity<'a, G> {
    fn new(images: u64, counts: &'a DocumentCounts<G>, bits: u32) -> Self {
        // The tool is never called without images; here every weight is then 0.
        let log_images = (images.max(1) as f64).ln();
        let most = counts.values().max().map_or(1, |&most| most.max(1));
        let weight = |documents: u32| log_images - f64::from(documents.max(1)).ln();
        let few = most.min(1 << 16);
        Rarity {
            counts,
            bits,
            log_images,
            weights: (0..=few).map(weight).collect(),
        }
    }

    fn weight(&self, gram: &G) -> f64 {
        let documents = self.counts.get(gram).copied().unwrap_or(1);
        let known = self.weights.get(documents as usize).copied();
        known.unwrap_or_else(|| self.log_images - f64::from(documents).ln())
    }
}

/// For each n-gram, n = 1 to 4, the number of images whose references contain it.
///
/// The saved table is readable text: a line with the number of images, then
/// `count TAB words` for each n-gram. It leaves out n-grams of a single image, because
/// they weigh the same as those of none.
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
#[derive(Debug)]
pub struct DocumentFrequencies {
    images: u64,
    words: Words,
    counts: DocumentCounts<u128>,
}

impl DocumentFrequencies {
    /// Counts the n-grams in the references of some images.
    pub fn new<W: AsRef<str>>(references: &[Vec<Vec<W>>]) -> Self {
        let nothing: Vec<Vec<W>> = references.iter().map(|_| Vec::new()).collect();
        Self::from_corpus(Corpus::of_words(&nothing, references))
    }

    /// Counts the n-grams in the references of a corpus.
    pub fn from_corpus(corpus: Corpus) -> Self {
        DocumentFrequencies {
            images: corpus.images() as u64,
            counts: corpus.documents(u32::BITS),
            words: corpus.words,
        }
    }

    /// Saves the table. The same references always give the same bytes.
    ///
    /// # Errors
    /// If `out` can't be written.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let names = self.words.list();
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
    /// If `input` can't be read; [`io::ErrorKind::InvalidData`], with the line, if it is
    /// not such a table.
    pub fn read(input: impl BufRead) -> io::Result<Self> {
        let mut lines = input.lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let images = first.strip_prefix(HEADER).and_then(|n| n.parse().ok());
        let mut table = DocumentFrequencies {
            images: images.ok_or_else(|| bad(1, "not a table of document frequencies"))?,
            words: Words::default(),
            counts: DocumentCounts::default(),
        };
        for (number, line) in (2..).zip(lines) {
            table.enter(&line?).ok_or_else(|| {
                bad(
                    number,
                    "expected `count TAB 1 to 4 words` with a count from 1 to the number of images",
                )
            })?;
        }
        Ok(table)
    }

    fn enter(&mut self, line: &str) -> Option<()> {
        let (count, gram) = line.split_once('\t')?;
        let count: u32 = count.parse().ok()?;
        let ids: Vec<u32> = gram.split(' ').map(|word| self.words.id(word)).collect();
        let word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        let fits = gram.split(' ').all(word)
            && ids.len() <= ORDERS
            && (1..=self.images).contains(&count.into());
        fits.then(|| self.counts.insert(u128::pack(&ids, u32::BITS), count))?;
        Some(())
    }
}

/// A caption's n-grams with tf-idf weights: one vector per order.
struct Vector<G> {
    grams: Grams<G>,
    weights: Vec<f64>,
    norms: [f64; ORDERS],
    length: f64,
}

impl<G: Gram> Vector<G> {
    fn new() -> Self {
        Vector {
            grams: Grams::new(),
            weights: Vec::new(),
            norms: [0.0; ORDERS],
            length: 0.0,
        }
    }

    fn weigh(&mut self, caption: &[u32], rarity: &Rarity<G>) {
        // The tool uses the number of bigrams as the caption's length.
        self.length = caption.len().saturating_sub(1) as f64;
        self.grams.count(caption, rarity.bits);
        let weigh = |(gram, count): &(G, u32)| f64::from(*count) * rarity.weight(gram);
        self.weights.clear();
        self.weights.extend(self.grams.counted.iter().map(weigh));
        self.norms = std::array::from_fn(|k| {
            let squares = self.order(k).map(|(_, weight)| weight * weight);
            squares.sum::<f64>().sqrt()
        });
    }

    fn order(&self, k: usize) -> impl Iterator<Item = (G, f64)> {
        let grams = self.grams.order(k);
        let end = self.grams.ends[k];
        let weights = &self.weights[end - grams.len()..end];
        grams
            .iter()
            .zip(weights)
            .map(|((gram, _), weight)| (*gram, *weight))
    }

    /// The clipped cosine similarity, averaged over the orders, times a penalty for a
    /// difference in length.
    fn similarity(&self, reference: &Vector<G>) -> f64 {
        let difference = self.length - reference.length;
        let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
        let cosines = (0..ORDERS).map(|k| {
            let norms = self.norms[k] * reference.norms[k];
            if norms > 0.0 {
                self.clipped_product(reference, k) / norms
            } else {
                0.0
            }
        });
        penalty * cosines.sum::<f64>() / ORDERS as f64
    }

    /// Dot product in which the weight of each of our n-grams is clipped to its weight
    /// in the reference.
    fn clipped_product(&self, reference: &Vector<G>, k: usize) -> f64 {
        let mut theirs = reference.order(k).peekable();
        let mut product = 0.0;
        for (gram, weight) in self.order(k) {
            while theirs.next_if(|(g, _)| *g < gram).is_some() {}
            if let Some((_, their_weight)) = theirs.next_if(|(g, _)| *g == gram) {
                product += weight.min(their_weight) * their_weight;
            }
        }
        product
    }
}

/// The numbers of an n-gram's words.
fn unpack(gram: u128) -> impl Iterator<Item = usize> {
    let ids = (0..ORDERS)
        .rev()
        .map(move |k| (gram >> (32 * k)) as u32 as usize);
    ids.skip_while(|&id| id == 0)
}

fn bad(line: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {what}"))
}
