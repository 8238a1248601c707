//! n-grams as integers, for the scores that count them.

use crate::corpus::ORDERS;

/// An n-gram as one integer: `bits` bits per word, the last word in the lowest. Because
/// no word is 0, n-grams of different orders are different integers.
pub(crate) trait Gram: Copy + Ord + std::hash::Hash + Send + Sync {
    fn pack(words: &[u32], bits: u32) -> Self;
}

macro_rules! gram {
    ($type:ty) => {
        impl Gram for $type {
            fn pack(words: &[u32], bits: u32) -> Self {
                let add = |gram: $type, &word: &u32| (gram << bits) | <$type>::from(word);
                words.iter().fold(0, add)
            }
        }
    };
}

gram!(u64);
gram!(u128);

/// Bits needed for the number of one of `words` words.
pub(crate) fn bits(words: usize) -> u32 {
    usize::BITS - words.leading_zeros()
}

/// The distinct n-grams of a caption with their counts, n = 1 to 4: in ascending order
/// within each n.
pub(crate) struct Grams<G> {
    pub(crate) counted: Vec<(G, u32)>,
    /// The end of each order's n-grams.
    pub(crate) ends: [usize; ORDERS],
    room: Vec<G>,
}

impl<G: Gram> Grams<G> {
    pub(crate) fn new() -> Self {
        Grams {
            counted: Vec::new(),
            ends: [0; ORDERS],
            room: Vec::new(),
        }
    }

    /// Replaces the content by the n-grams of another caption.
    pub(crate) fn count(&mut self, words: &[u32], bits: u32) {
        self.counted.clear();
        for n in 1..=ORDERS {
            self.room.clear();
            self.room
                .extend(words.windows(n).map(|gram| G::pack(gram, bits)));
            self.room.sort_unstable();
            let runs = self.room.chunk_by(|a, b| a == b);
            self.counted
                .extend(runs.map(|run| (run[0], run.len() as u32)));
            self.ends[n - 1] = self.counted.len();
        }
    }

    /// The n-grams of order `k + 1`.
    pub(crate) fn order(&self, k: usize) -> &[(G, u32)] {
        let begin = k.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.counted[begin..self.ends[k]]
    }
}
