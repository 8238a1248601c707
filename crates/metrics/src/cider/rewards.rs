//! CIDEr-D of one caption after the other, for training by reward.

use super::DocumentFrequencies;
use super::vector::{Rarity, SIGMA};
use crate::corpus::{ORDERS, Words};
use crate::ngrams::Grams;
use crate::parallel::{cores, in_parts};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Number of an n-gram that is in no reference and in no table.
const UNKNOWN: u32 = u32::MAX;

/// The references of many images as vectors that are made once. Then a caption costs some
/// microseconds. Its score is that of [`cider_with`](super::cider_with).
///
/// ```
/// use attend_metrics::Rewards;
/// let references = [
///     vec![vec!["a", "cat"], vec!["a", "black", "cat"]],
///     vec![vec!["a", "dog"]],
/// ];
/// let rewards = Rewards::new(&references, None);
/// assert!(rewards.score(0, &["a", "cat"]) > rewards.score(0, &["a", "dog"]));
/// ```
#[derive(Debug)]
pub struct Rewards {
    words: Words,
    numbers: HashMap<u128, u32, FixedState>,
    /// The weight of each n-gram by its number.
    weights: Vec<f64>,
    /// The weight of an n-gram without number.
    rare: f64,
    /// The n-grams of all references and how often each has them: sorted by number within
    /// each order.
    grams: Vec<(u32, u32)>,
    references: Vec<Reference>,
    /// The end of each image's references.
    ends: Vec<usize>,
}

/// A reference; its n-grams lie in [`Rewards::grams`].
#[derive(Debug)]
struct Reference {
    begin: usize,
    /// The end of each order's n-grams.
    ends: [usize; ORDERS],
    norms: [f64; ORDERS],
    length: f64,
}

/// A caption as numbered n-grams; kept, so that its memory is used again.
struct Caption {
    words: Vec<u32>,
    found: Grams<u128>,
    /// Number, count and weight of each n-gram, sorted by number within each order.
    grams: Vec<(u32, u32, f64)>,
    ends: [usize; ORDERS],
    norms: [f64; ORDERS],
    length: f64,
}

impl Rewards {
    /// Prepares the references of some images; document frequencies are counted over them
    /// unless a table is given.
    pub fn new<W: AsRef<str>>(
        references: &[Vec<Vec<W>>],
        frequencies: Option<&DocumentFrequencies>,
    ) -> Rewards {
        let counted;
        let frequencies = match frequencies {
            Some(table) => table,
            None => {
                counted = DocumentFrequencies::new(references);
                &counted
            }
        };
        let rarity = Rarity::new(frequencies.images, &frequencies.counts, u32::BITS);
        let mut rewards = Rewards {
            words: frequencies.words.clone(),
            numbers: HashMap::default(),
            weights: Vec::new(),
            rare: rarity.weight(&0),
            grams: Vec::new(),
            references: Vec::new(),
            ends: Vec::with_capacity(references.len()),
        };
        for gram in frequencies.counts.keys() {
            rewards.number(*gram, &rarity);
        }
        let mut caption = Caption::new();
        for of_image in references {
            for reference in of_image {
                caption.words.clear();
                for word in parts(reference) {
                    caption.words.push(rewards.words.id(word));
                }
                caption.found.count(&caption.words, u32::BITS);
                for at in 0..caption.found.counted.len() {
                    rewards.number(caption.found.counted[at].0, &rarity);
                }
                rewards.weigh(&mut caption);
                rewards.keep(&caption);
            }
            rewards.ends.push(rewards.references.len());
        }
        rewards
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.ends.len()
    }

    /// CIDEr-D of a caption against the references of an image, between 0 and 10.
    ///
    /// # Panics
    /// If there is no such image. One without references gives NaN.
    pub fn score<W: AsRef<str>>(&self, image: usize, caption: &[W]) -> f64 {
        self.score_in(&mut Caption::new(), image, caption)
    }

    /// The scores of many captions, each with the number of its image, on all cores.
    ///
    /// # Panics
    /// As [`Rewards::score`].
    pub fn scores<W: AsRef<str> + Sync>(&self, captions: &[(usize, Vec<W>)]) -> Vec<f64> {
        let parts = in_parts(captions.len(), cores(), |part| {
            let mut room = Caption::new();
            let one = |(image, words): &(usize, Vec<W>)| self.score_in(&mut room, *image, words);
            captions[part].iter().map(one).collect::<Vec<f64>>()
        });
        parts.concat()
    }

    fn score_in<W: AsRef<str>>(&self, caption: &mut Caption, image: usize, words: &[W]) -> f64 {
        self.read(words, caption);
        let begin = image.checked_sub(1).map_or(0, |before| self.ends[before]);
        let references = &self.references[begin..self.ends[image]];
        let similarities = references.iter().map(|one| self.similarity(caption, one));
        10.0 * similarities.sum::<f64>() / references.len() as f64
    }

    fn number(&mut self, gram: u128, rarity: &Rarity<u128>) {
        let next = self.weights.len() as u32; // memory ends long before 2^32 n-grams
        self.numbers.entry(gram).or_insert_with(|| {
            self.weights.push(rarity.weight(&gram));
            next
        });
    }

    /// Numbers the words of a caption; those that are in no reference get numbers behind all
    /// others.
    fn read<W: AsRef<str>>(&self, words: &[W], caption: &mut Caption) {
        caption.words.clear();
        for (at, word) in parts(words).enumerate() {
            let id = self.words.get(word).unwrap_or_else(|| {
                let first = parts(words).position(|other| other == word);
                (self.words.len() + 1 + first.unwrap_or(at)) as u32
            });
            caption.words.push(id);
        }
        caption.found.count(&caption.words, u32::BITS);
        self.weigh(caption);
    }

    /// Weighs the n-grams that were found in a caption.
    fn weigh(&self, caption: &mut Caption) {
        // The tool uses the number of bigrams as the caption's length.
        caption.length = caption.words.len().saturating_sub(1) as f64;
        caption.grams.clear();
        for k in 0..ORDERS {
            let begin = caption.grams.len();
            let grams = caption.found.order(k).iter().map(|(gram, count)| {
                let number = self.numbers.get(gram).copied().unwrap_or(UNKNOWN);
                let known = self.weights.get(number as usize);
                let weight = known.copied().unwrap_or(self.rare);
                (number, *count, f64::from(*count) * weight)
            });
            caption.grams.extend(grams);
            let of_order = &mut caption.grams[begin..];
            let squares = of_order.iter().map(|(.., weight)| weight * weight);
            caption.norms[k] = squares.sum::<f64>().sqrt();
            of_order.sort_unstable_by_key(|(number, ..)| *number);
            caption.ends[k] = caption.grams.len();
        }
    }

    fn keep(&mut self, caption: &Caption) {
        let begin = self.grams.len();
        let grams = caption.grams.iter();
        self.grams
            .extend(grams.map(|(number, count, _)| (*number, *count)));
        self.references.push(Reference {
            begin,
            ends: caption.ends.map(|end| begin + end),
            norms: caption.norms,
            length: caption.length,
        });
    }

    /// As [`super::vector::Vector::similarity`].
    fn similarity(&self, caption: &Caption, reference: &Reference) -> f64 {
        let difference = caption.length - reference.length;
        let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
        let (mut ours, mut theirs) = (0, reference.begin);
        let mut cosines = 0.0;
        for k in 0..ORDERS {
            let norms = caption.norms[k] * reference.norms[k];
            if norms > 0.0 {
                let ours = &caption.grams[ours..caption.ends[k]];
                let theirs = &self.grams[theirs..reference.ends[k]];
                cosines += self.clipped_product(ours, theirs) / norms;
            }
            (ours, theirs) = (caption.ends[k], reference.ends[k]);
        }
        penalty * cosines / ORDERS as f64
    }

    fn clipped_product(&self, ours: &[(u32, u32, f64)], theirs: &[(u32, u32)]) -> f64 {
        let mut theirs = theirs.iter().peekable();
        let mut product = 0.0;
        for (number, _, weight) in ours {
            while theirs.next_if(|(other, _)| other < number).is_some() {}
            if let Some((_, count)) = theirs.next_if(|(other, _)| other == number) {
                let their_weight = f64::from(*count) * self.weights[*number as usize];
                product += weight.min(their_weight) * their_weight;
            }
        }
        product
    }
}

/// The words of a caption. The tool splits them at white space once more.
fn parts<W: AsRef<str>>(words: &[W]) -> impl Iterator<Item = &str> {
    let words = words.iter();
    words.flat_map(|word| word.as_ref().split_whitespace())
}

impl Caption {
    fn new() -> Caption {
        Caption {
            words: Vec::new(),
            found: Grams::new(),
            grams: Vec::new(),
            ends: [0; ORDERS],
            norms: [0.0; ORDERS],
            length: 0.0,
        }
    }
}
