//! Which words and phrases of two captions may be matched.

use super::lexicon::{Lexicon, Sentence, Word};

/// How two words, or phrases, came to match; also the order of the matchers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Matcher {
    Exact,
    Stem,
    Synonym,
    Paraphrase,
}

/// A run of words in the hypothesis and one in the reference.
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

/// A run of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: usize,
    pub length: usize,
}

impl Span {
    fn word(start: usize) -> Span {
        Span { start, length: 1 }
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.length
    }
}

/// All matches of a pair of captions, by where they start in the reference, and
/// there by the order in which the matchers find them: ties between alignments
/// are broken by it.
pub(super) struct Matches {
    by_start: Vec<Match>,
    /// Where those of each word of the reference start.
    starts: Vec<usize>,
}

impl Matches {
    pub fn at(&self, word: usize) -> &[Match] {
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

/// Everything that may be matched with something.
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
    // equal captions need no more, and the search might go astray in it
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

/// Each phrase of one caption with each place where a paraphrase of it stands in
/// the other.
fn paraphrases(from: &Sentence, to: &Sentence, lexicon: &Lexicon) -> Vec<(Span, Span)> {
    let mut found = Vec::new();
    let number = |&word: &u32| lexicon.word(word).paraphrase;
    let words: Vec<Option<u16>> = to.words.iter().map(number).collect();
    // most paraphrases start with a word that the other caption hasn't: this
    // tells most of those apart
    let bit = |word: u16| 1u64 << (word % 64);
    let present = words.iter().flatten().fold(0, |bits, &w| bits | bit(w));
    for phrase in &from.phrases {
        for paraphrase in lexicon.paraphrases().of(phrase.node) {
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
