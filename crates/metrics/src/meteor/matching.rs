//! Which words and phrases of two captions may be matched.

use super::lexicon::{Lexicon, Sentence, Word};
use super::tables::Paraphrases;

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
    let (hypothesis_words, reference_words) = (words(hypothesis), words(reference));
    let mut pairs = |matcher, agree: fn(&Word, &Word) -> bool| {
        for (r, theirs) in reference_words.iter().enumerate() {
            for (h, ours) in hypothesis_words.iter().enumerate() {
                if agree(ours, theirs) {
                    found.push(Match {
                        matcher,
                        hypothesis: Span::word(h),
                        reference: Span::word(r),
                    });
                }
            }
        }
    };
    pairs(Matcher::Exact, same);
    // equal captions need no more, and the search would go astray in it
    let equal = |(a, b): (&&Word, &&Word)| same(a, b);
    let identical = hypothesis_words.len() == reference_words.len()
        && hypothesis_words.iter().zip(&reference_words).all(equal);
    if !identical {
        pairs(Matcher::Stem, |a, b| a.stem == b.stem && !same(a, b));
        pairs(Matcher::Synonym, |a, b| !same(a, b) && synonyms(a, b));
        let table = lexicon.paraphrases();
        let matcher = Matcher::Paraphrase;
        for_paraphrases(table, reference, hypothesis, |reference, hypothesis| {
            found.push(Match {
                matcher,
                hypothesis,
                reference,
            });
        });
        for_paraphrases(table, hypothesis, reference, |hypothesis, reference| {
            found.push(Match {
                matcher,
                hypothesis,
                reference,
            });
        });
    }
    Matches::new(found, reference_words.len())
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

/// Calls `found` with each phrase of one caption, and each place where a
/// paraphrase of it stands in the other.
fn for_paraphrases(
    table: Paraphrases,
    from: &Sentence,
    to: &Sentence,
    mut found: impl FnMut(Span, Span),
) {
    // most paraphrases start with a word that the other caption hasn't: this
    // tells most of those apart
    let bit = |word: u16| 1u64 << (word % 64);
    let present = to.vocabulary.iter().flatten().fold(0, |p, &w| p | bit(w));
    for phrase in &from.phrases {
        for paraphrase in table.of(phrase.node) {
            if paraphrase
                .first()
                .is_none_or(|first| bit(first) & present == 0)
            {
                continue;
            }
            let length = paraphrase.len();
            for (start, window) in to.vocabulary.windows(length).enumerate() {
                if window.iter().copied().eq(paraphrase.iter().map(Some)) {
                    found(phrase.span, Span { start, length });
                }
            }
        }
    }
}
