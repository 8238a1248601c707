//! Finds the words and phrases of two captions that may be matched.

use super::lexicon::{Forms, Lexicon, Sentence, Word};
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
    pub fn len(&self) -> usize {
        self.by_start.len()
    }

    pub fn starting_at(&self, word: usize) -> &[Match] {
        &self.by_start[self.starts[word]..self.starts[word + 1]]
    }

    fn new(mut found: Vec<Match>, words: usize) -> Self {
        found.sort_by_key(|m| m.reference.start); // stable
        let mut starts = vec![0; words + 1];
        for m in &found {
            starts[m.reference.start + 1] += 1;
        }
        for word in 0..words {
            starts[word + 1] += starts[word];
        }
        Matches {
            by_start: found,
            starts,
        }
    }
}

/// Finds all possible matches of two captions.
pub(super) fn matches(hypothesis: &Sentence, reference: &Sentence, lexicon: &Lexicon) -> Matches {
    let (ours, theirs) = (&hypothesis.forms, &reference.forms);
    // equal captions need no other matches, with which the search might go astray
    let identical = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b));
    let synonyms = |h: usize, r: usize| {
        let word = |s: &Sentence, i: usize| lexicon.word(s.words[i]);
        synonyms(word(hypothesis, h), word(reference, r))
    };
    let mut found = Vec::with_capacity(2 * theirs.len());
    let (mut stems, mut sets) = (Vec::new(), Vec::new());
    for (r, b) in theirs.iter().enumerate() {
        for (h, a) in ours.iter().enumerate() {
            // One jump, not three: few words are alike.
            if !(same(a, b) | (a.stem == b.stem) | a.synsets.meets(&b.synsets)) {
                continue;
            }
            let found_by = |matcher| Match::new(matcher, Span::word(h), Span::word(r));
            if same(a, b) {
                found.push(found_by(Matcher::Exact));
            } else if !identical {
                if a.stem == b.stem {
                    stems.push(found_by(Matcher::Stem));
                }
                if a.synsets.meets(&b.synsets) && synonyms(h, r) {
                    sets.push(found_by(Matcher::Synonym));
                }
            }
        }
        found.append(&mut stems);
        found.append(&mut sets);
    }
    if !identical {
        for (r, h) in paraphrases(reference, hypothesis, lexicon) {
            found.push(Match::new(Matcher::Paraphrase, h, r));
        }
        for (h, r) in paraphrases(hypothesis, reference, lexicon) {
            found.push(Match::new(Matcher::Paraphrase, h, r));
        }
    }
    Matches::new(found, reference.words.len())
}

fn same(a: &Forms, b: &Forms) -> bool {
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
    let words = &to.paraphrase;
    // Most paraphrases start with a word that the other caption lacks.
    for phrase in &from.phrases {
        if !phrase.node.firsts.meets(&to.present) {
            continue;
        }
        for paraphrase in lexicon.paraphrases().replacements(phrase.node.number) {
            let first = paraphrase.first();
            if first.is_none_or(|first| !to.present.contains(first.into())) {
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
