//! The counts from which a score is computed; they are summed over a corpus.

use super::lexicon::{Lexicon, Sentence};
use super::matching::Match;
use super::span::Span;

/// Weight of precision relative to recall.
const ALPHA: f64 = 0.85;
/// Exponent of the fragmentation penalty.
const BETA: f64 = 0.2;
/// Weight of the fragmentation penalty.
const GAMMA: f64 = 0.6;
/// Weight of content words relative to function words.
const DELTA: f64 = 0.75;
/// Weights of exact, stem, synonym and paraphrase matches.
const WEIGHTS: [f64; 4] = [1.0, 0.6, 0.8, 0.6];

/// Counts for one hypothesis and one reference, or their sums.
#[derive(Clone, Default)]
pub(crate) struct Statistics {
    hypothesis: Side,
    reference: Side,
    chunks: u64,
}

/// Counts of words in the hypothesis or in the reference.
#[derive(Clone, Default)]
struct Side {
    words: u64,
    function_words: u64,
    /// Matched content words, by matcher.
    content: [u64; 4],
    /// Matched function words, by matcher.
    function: [u64; 4],
}

impl Statistics {
    /// The counts of an alignment, given as matches in the order of the reference.
    pub(super) fn new(
        hypothesis: &Sentence,
        reference: &Sentence,
        alignment: &[Match],
        lexicon: &Lexicon,
    ) -> Self {
        let mut statistics = Statistics {
            hypothesis: Side::new(hypothesis),
            reference: Side::new(reference),
            chunks: chunks(alignment),
        };
        for m in alignment {
            let words = &hypothesis.words[m.hypothesis.range()];
            statistics.hypothesis.count(words, m, lexicon);
            let words = &reference.words[m.reference.range()];
            statistics.reference.count(words, m, lexicon);
        }
        statistics
    }

    pub fn add(&mut self, other: &Statistics) {
        // the tool does not add the chunk of a perfect match, but adds its words
        if !other.perfect() {
            self.chunks += other.chunks;
        }
        self.hypothesis.add(&other.hypothesis);
        self.reference.add(&other.reference);
    }

    /// Whether all words match, in one chunk.
    fn perfect(&self) -> bool {
        let whole = |side: &Side| side.matched() == side.words;
        whole(&self.hypothesis) && whole(&self.reference) && self.chunks == 1
    }

    pub fn score(&self) -> f64 {
        let precision = self.hypothesis.weighted_share();
        let recall = self.reference.weighted_share();
        let mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall);
        let matched = (self.hypothesis.matched() + self.reference.matched()) as f64 / 2.0;
        let fragmentation = if self.perfect() {
            0.0
        } else {
            self.chunks as f64 / matched
        };
        let score = mean * (1.0 - GAMMA * fragmentation.powf(BETA));
        score.max(0.0) // 0 if nothing matches and the above is NaN
    }
}

impl Side {
    fn new(sentence: &Sentence) -> Self {
        Side {
            words: sentence.words.len() as u64,
            function_words: sentence.function_words,
            ..Side::default()
        }
    }

    fn count(&mut self, words: &[u32], m: &Match, lexicon: &Lexicon) {
        for &word in words {
            let counts = if lexicon.word(word).function {
                &mut self.function
            } else {
                &mut self.content
            };
            counts[m.matcher as usize] += 1;
        }
    }

    fn add(&mut self, other: &Side) {
        self.words += other.words;
        self.function_words += other.function_words;
        for matcher in 0..4 {
            self.content[matcher] += other.content[matcher];
            self.function[matcher] += other.function[matcher];
        }
    }

    fn matched(&self) -> u64 {
        self.content.iter().chain(&self.function).sum()
    }

    /// Weighted matches divided by weighted words. Sums in the tool's order, so that both
    /// round alike.
    fn weighted_share(&self) -> f64 {
        let content = (self.words - self.function_words) as f64;
        let length = DELTA * content + (1.0 - DELTA) * self.function_words as f64;
        let mut matches = 0.0;
        for (count, weight) in self.content.iter().zip(WEIGHTS) {
            matches += *count as f64 * weight * DELTA;
        }
        for (count, weight) in self.function.iter().zip(WEIGHTS) {
            matches += *count as f64 * weight * (1.0 - DELTA);
        }
        matches / length
    }
}

/// Number of runs of matches that are contiguous and in the same order on both sides.
fn chunks(alignment: &[Match]) -> u64 {
    let continues = |a: &Match, b: &Match| {
        let follows = |a: Span, b: Span| a.range().end == b.start;
        follows(a.hypothesis, b.hypothesis) && follows(a.reference, b.reference)
    };
    alignment.chunk_by(continues).count() as u64
}
