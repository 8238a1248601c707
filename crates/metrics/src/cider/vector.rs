//! A caption as a vector of weighted n-grams, and the similarity of two.

use super::frequencies::DocumentCounts;
use crate::corpus::ORDERS;
use crate::ngrams::{Gram, Grams};

/// Width of the Gaussian penalty for a difference in length.
pub(super) const SIGMA: f64 = 6.0;

/// Weights of n-grams: inverse document frequencies.
pub(super) struct Rarity<'a, G> {
    counts: &'a DocumentCounts<G>,
    pub(super) bits: u32,
    /// Logarithm of the number of images.
    log_images: f64,
    /// Weight of an n-gram by the number of images that have it, for small numbers.
    weights: Vec<f64>,
}

impl<'a, G: Gram> Rarity<'a, G> {
    pub(super) fn new(images: u64, counts: &'a DocumentCounts<G>, bits: u32) -> Self {
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

    pub(super) fn weight(&self, gram: &G) -> f64 {
        let documents = self.counts.get(gram).copied().unwrap_or(1);
        let known = self.weights.get(documents as usize).copied();
        known.unwrap_or_else(|| self.log_images - f64::from(documents).ln())
    }
}

/// A caption's n-grams with tf-idf weights: one vector per order.
pub(super) struct Vector<G> {
    grams: Grams<G>,
    weights: Vec<f64>,
    pub(super) norms: [f64; ORDERS],
    length: f64,
}

impl<G: Gram> Vector<G> {
    pub(super) fn new() -> Self {
        Vector {
            grams: Grams::new(),
            weights: Vec::new(),
            norms: [0.0; ORDERS],
            length: 0.0,
        }
    }

    pub(super) fn weigh(&mut self, caption: &[u32], rarity: &Rarity<G>) {
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
    pub(super) fn similarity(&self, reference: &Vector<G>) -> f64 {
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
