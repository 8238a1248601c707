//! Finds the words and phrases of two captions that may be matched.

use super::lexicon::{Lexicon, Sentence, Word};
use super::span::Span;

/// The matchers, in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Matcher {
    Exact,
    Stem,
    Synonym,
    Paraphrase,
}

/// A run of words in the hypothesis that matches one in the reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub matcher: Matcher,
    pub hypothesis: Span,
    pub reference: Span,
}

impl Match {
    fn new(matcher: Matcher, hypothesis: Span, reference: Span) -> Self {
        Match {
            matcher,
            hypothesis,
            reference,
        }
    }
}

/// All matches of a pair of captions, ordered by their start in the reference and then
/// by the order in which the matchers find them, which breaks ties between alignments.
pub(super) struct Matches {
    by_start: Vec<Match>,
    /// The first match that starts at each word of the reference.
    starts: Vec<usize>,
}

impl Matches {
    pub fn starting_at(&self, word: usize) -> &[Match] {
        &self.by_start[self.starts[word]..self.starts[word + 1]]
    }

    fn new(mut found: Vec<Match>, words: usize) -> Self {
        found.sort_by_key(|m| m.reference.start); // stable
        let first = |word| found.partition_point(|m| m.reference.start < word);
        let starts = (0..=words).map(first).collect();
        Matches {
            by_start: found,
            starts,
        }
    }
}

/// Finds all possible matches of two captions.
pub(super) fn matches(hypothesis: &Sentence, reference: &Sentence, lexicon: &Lexicon) -> Matches {
    let mut found = Vec::new();
    let words = |s: &Sentence| -> Vec<&Word> { s.words.iter().map(|&w| lexicon.word(w)).collect() };
    let (ours, theirs) = (words(hypothesis), words(reference));
    let mut pairs = |matcher, agree: fn(&Word, &Word) -> bool| {
        for (r, theirs) in theirs.iter().enumerate() {
            for (h, ours) in ours.iter().enumerate() {
                if agree(ours, theirs) {
                    found.push(Match::new(matcher, Span::word(h), Span::word(r)));
                }
            }
        }
    };
    pairs(Matcher::Exact, same);
    // equal captions need no other matches, with which the search might go astray
    let identical = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| same(a, b));
    if !identical {
        pairs(Matcher::Stem, |a, b| !same(a, b) && a.stem == b.stem);
        pairs(Matcher::Synonym, |a, b| !same(a, b) && synonyms(a, b));
        for (r, h) in paraphrases(reference, hypothesis, lexicon) {
            found.push(Match::new(Matcher::Paraphrase, h, r));
        }
        for (h, r) in paraphrases(hypothesis, reference, lexicon) {
            found.push(Match::new(Matcher::Paraphrase, h, r));
        }
    }
    Matches::new(found, reference.words.len())
}

fn same(a: &Word, b: &Word) -> bool {
    a.hash == b.hash
}

/// Whether the words have a synonym set in common.
fn synonyms(a: &Word, b: &Word) -> bool {
    let mut theirs = b.synsets.iter().peekable();
    a.synsets.iter().any(|set| {
        // both lists ascend
        while theirs.next_if(|s| *s < set).is_some() {}
        theirs.peek() == Some(&set)
    })
}

/// Pairs each phrase of one caption with each occurrence of one of its paraphrases in the
/// other.
fn paraphrases(from: &Sentence, to: &Sentence, lexicon: &Lexicon) -> Vec<(Span, Span)> {
    let mut found = Vec::new();
    let number = |&word: &u32| lexicon.word(word).paraphrase;
    let words: Vec<Option<u16>> = to.words.iter().map(number).collect();
    // most paraphrases start with a word that the other caption lacks: these bits
    // rule most of them out
    let bit = |word: u16| 1u64 << (word % 64);
    let present = words.iter().flatten().fold(0, |bits, &w| bits | bit(w));
    for phrase in &from.phrases {
        for paraphrase in lexicon.paraphrases().replacements(phrase.node) {
            if paraphrase
                .first()
                .is_none_or(|first| bit(first) & present == 0)
            {
                continue;
            }
            let length = paraphrase.len();
            for (start, window) in words.windows(length).enumerate() {
                if window.iter().copied().eq(paraphrase.iter().map(Some)) {
                    found.push((phrase.span, Span { start, length }));
                }
            }
        }
    }
    found
}
