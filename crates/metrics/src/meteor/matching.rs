//! Finds the words and phrases of two captions that may be matched.

use super::alike::Alike;
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
/// Another pair's take its memory.
#[derive(Default)]
pub(super) struct Matches {
    by_start: Vec<Match>,
    /// The first match that starts at each word of the reference.
    starts: Vec<usize>,
    /// The words of the hypothesis that may match each of the reference.
    alike: Vec<u16>,
    /// Of the current word of the reference.
    stems: Vec<Match>,
    sets: Vec<Match>,
    known: Known,
}

impl Matches {
    pub fn all(&self) -> &[Match] {
        &self.by_start
    }

    pub fn starting_at(&self, word: usize) -> &[Match] {
        &self.by_start[self.starts[word]..self.starts[word + 1]]
    }

    /// Finds all possible matches of two captions; `words` are those of the hypothesis.
    pub fn find(
        &mut self,
        (hypothesis, words): (&Sentence, &Alike),
        reference: &Sentence,
        lexicon: &Lexicon,
    ) {
        let (ours, theirs) = (&hypothesis.forms, &reference.forms);
        // equal captions need no other matches, with which the search might go astray
        let identical =
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b));
        let (found, known) = (&mut self.by_start, &mut self.known);
        found.clear();
        words.find(theirs, &mut self.alike);
        for (r, b) in theirs.iter().enumerate() {
            for h in words.places(&self.alike, r) {
                let a = &ours[h];
                let found_by = |matcher| Match::new(matcher, Span::word(h), Span::word(r));
                if same(a, b) {
                    found.push(found_by(Matcher::Exact));
                } else if !identical {
                    if a.stem == b.stem {
                        self.stems.push(found_by(Matcher::Stem));
                    }
                    if a.synsets.meets(&b.synsets)
                        && known.synonyms([hypothesis.words[h], reference.words[r]], lexicon)
                    {
                        self.sets.push(found_by(Matcher::Synonym));
                    }
                }
            }
            found.append(&mut self.stems);
            found.append(&mut self.sets);
        }
        let by_word = found.len();
        if !identical {
            paraphrases(reference, hypothesis, lexicon, |r, h| {
                found.push(Match::new(Matcher::Paraphrase, h, r));
            });
            paraphrases(hypothesis, reference, lexicon, |h, r| {
                found.push(Match::new(Matcher::Paraphrase, h, r));
            });
        }
        if found.len() > by_word {
            found.sort_by_key(|m| m.reference.start); // stable
        }
        self.starts.clear();
        self.starts.resize(theirs.len() + 1, 0);
        for m in found {
            self.starts[m.reference.start + 1] += 1;
        }
        for word in 0..theirs.len() {
            self.starts[word + 1] += self.starts[word];
        }
    }
}

fn same(a: &Forms, b: &Forms) -> bool {
    a.hash == b.hash
}

/// Which pairs of words are synonyms, of those that were asked last: captions use the same
/// words again and again.
struct Known(Vec<Option<([u32; 2], bool)>>);

impl Default for Known {
    fn default() -> Known {
        Known(vec![None; 1 << 12])
    }
}

impl Known {
    /// Whether two words of the lexicon have a synonym set in common.
    fn synonyms(&mut self, pair: [u32; 2], lexicon: &Lexicon) -> bool {
        let place = pair[0].wrapping_mul(0x9e37_79b1) ^ pair[1].wrapping_mul(0x85eb_ca77);
        let place = &mut self.0[place as usize >> 20];
        match place {
            Some((known, answer)) if *known == pair => *answer,
            _ => {
                let answer = synonyms(lexicon.word(pair[0]), lexicon.word(pair[1]));
                *place = Some((pair, answer));
                answer
            }
        }
    }
}

/// Whether the words have a synonym set in common. Both lists ascend; which one goes on is no
/// jump, which a processor could not foresee.
fn synonyms(a: &Word, b: &Word) -> bool {
    let (mut i, mut j) = (0, 0);
    while let (Some(ours), Some(theirs)) = (a.synsets.get(i), b.synsets.get(j)) {
        if ours == theirs {
            return true;
        }
        i += usize::from(ours < theirs);
        j += usize::from(theirs < ours);
    }
    false
}

/// Pairs each phrase of one caption with each occurrence of one of its paraphrases in the
/// other.
fn paraphrases(
    from: &Sentence,
    to: &Sentence,
    lexicon: &Lexicon,
    mut found: impl FnMut(Span, Span),
) {
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
                    found(phrase.span, Span { start, length });
                }
            }
        }
    }
}
