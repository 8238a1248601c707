//! Words and n-grams as integers, for the scores that count them.

use std::collections::HashMap;

/// Longest n-gram that is counted.
pub(crate) const ORDERS: usize = 4;

/// Numbers words from 1, on top of words that have numbers already.
pub(crate) struct Words<'a> {
    known: Option<&'a HashMap<String, u32>>,
    new: HashMap<&'a str, u32>,
}

impl<'a> Words<'a> {
    pub(crate) fn new() -> Self {
        let new = HashMap::new();
        Words { known: None, new }
    }

    /// Words of a table that numbers them from 1 without a gap keep their numbers.
    pub(crate) fn after(known: &'a HashMap<String, u32>) -> Self {
        Words {
            known: Some(known),
            ..Words::new()
        }
    }

    /// A caption as BLEU and CIDEr see it: the tool splits at every white space,
    /// also at the no-break space that its tokeniser leaves inside `2 1/2`.
    pub(crate) fn ids<W: AsRef<str>>(&mut self, caption: &'a [W]) -> Vec<u32> {
        let words = caption.iter().flat_map(|w| w.as_ref().split_whitespace());
        words.map(|word| self.id(word)).collect()
    }

    pub(crate) fn id(&mut self, word: &'a str) -> u32 {
        if let Some(&id) = self.known.and_then(|known| known.get(word)) {
            return id;
        }
        let before = self.known.map_or(0, HashMap::len) + self.new.len();
        // memory ends long before 2^32 words
        *self.new.entry(word).or_insert(before as u32 + 1)
    }

    /// The words that were not known before, with their numbers.
    pub(crate) fn into_new(self) -> HashMap<String, u32> {
        let words = self.new.into_iter();
        words.map(|(word, id)| (word.to_owned(), id)).collect()
    }
}

/// The n-grams of a caption in order. As no word is 0, n-grams of different
/// orders (n = 1 to 4) are different integers.
pub(crate) fn ngrams(n: usize, ids: &[u32]) -> impl Iterator<Item = u128> {
    ids.windows(n).map(pack)
}

pub(crate) fn pack(gram: &[u32]) -> u128 {
    gram.iter().fold(0, |g, &id| (g << 32) | u128::from(id))
}

/// Distinct n-grams of a caption in ascending order, with their counts.
pub(crate) fn grams(n: usize, ids: &[u32]) -> Vec<(u128, u64)> {
    let mut all: Vec<u128> = ngrams(n, ids).collect();
    all.sort_unstable();
    let runs = all.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len() as u64)).collect()
}

/// The inputs of every score: one hypothesis and at least one reference an image.
///
/// # Panics
/// If that is not so.
pub(crate) fn check<W>(hypotheses: usize, references: &[Vec<Vec<W>>]) {
    assert_eq!(
        hypotheses,
        references.len(),
        "hypotheses and references are lists over the same images"
    );
    for (image, references) in references.iter().enumerate() {
        assert!(!references.is_empty(), "image {image} has no reference");
    }
}
