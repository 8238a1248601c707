//! The data structures of METEOR's file, read in place.
//!
//! Whatever the bytes are, no access here leaves its section or panics: anything out of
//! bounds is `None`. So a damaged file gives wrong answers at worst.

use super::file::{Data, Section};
use super::normalise::Abbreviation;

/// Little-endian `u32`s.
#[derive(Clone, Copy)]
struct U32s<'a>(&'a [u8]);

impl U32s<'_> {
    fn len(self) -> usize {
        self.0.len() / 4
    }

    fn get(self, i: usize) -> Option<u32> {
        let bytes = self.0.get(i.checked_mul(4)?..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    /// The range of part `i`, if these numbers are the starts of parts and the last one is
    /// the end of the last part.
    fn part(self, i: usize) -> Option<std::ops::Range<usize>> {
        Some(self.get(i)? as usize..self.get(i + 1)? as usize)
    }
}

/// Little-endian `u16`s.
#[derive(Clone, Copy)]
pub(super) struct U16s<'a>(&'a [u8]);

impl<'a> U16s<'a> {
    fn get(self, i: usize) -> Option<u16> {
        let bytes = self.0.get(i.checked_mul(2)?..)?.first_chunk()?;
        Some(u16::from_le_bytes(*bytes))
    }

    /// The first number and the rest.
    fn split_first(self) -> Option<(u16, Self)> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        Some((u16::from_le_bytes(*bytes), U16s(rest)))
    }

    fn slice(self, part: std::ops::Range<usize>) -> Option<Self> {
        let bytes = part.start.checked_mul(2)?..part.end.checked_mul(2)?;
        Some(U16s(self.0.get(bytes)?))
    }

    fn split_at(self, n: usize) -> Option<(Self, Self)> {
        let (head, tail) = self.0.split_at_checked(n.checked_mul(2)?)?;
        Some((U16s(head), U16s(tail)))
    }

    pub(super) fn first(self) -> Option<u16> {
        Some(self.split_first()?.0)
    }

    pub(super) fn len(self) -> usize {
        self.0.len() / 2
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u16> + 'a {
        let pairs = self.0.chunks_exact(2);
        pairs.map(|b| u16::from_le_bytes([b[0], b[1]]))
    }
}

/// Strings in ascending order of their bytes.
#[derive(Clone, Copy)]
pub(super) struct Strings<'a> {
    starts: U32s<'a>,
    text: &'a [u8],
}

impl<'a> Strings<'a> {
    pub(super) fn new(data: &'a Data, starts: Section, text: Section) -> Self {
        Strings {
            starts: U32s(data.section(starts)),
            text: data.section(text),
        }
    }

    /// The index of a string.
    pub(super) fn find(self, string: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.starts.len().saturating_sub(1));
        while low < high {
            let middle = low.midpoint(high);
            let text = self.text.get(self.starts.part(middle)?)?;
            match text.cmp(string.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    pub(super) fn contains(self, string: &str) -> bool {
        self.find(string).is_some()
    }
}

/// Sets of numbers, each with a name.
#[derive(Clone, Copy)]
pub(super) struct Sets<'a> {
    names: Strings<'a>,
    starts: U32s<'a>,
    items: U32s<'a>,
}

impl<'a> Sets<'a> {
    pub(super) fn new(data: &'a Data, names: Strings<'a>, starts: Section, items: Section) -> Self {
        Sets {
            names,
            starts: U32s(data.section(starts)),
            items: U32s(data.section(items)),
        }
    }

    pub(super) fn contains(self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn get(self, name: &str) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let part = self.starts.part(self.names.find(name)?)?;
        Some(part.map_while(move |i| self.items.get(i)))
    }
}

/// Phrases that have paraphrases, as a tree of words. The paraphrases of a phrase are in the
/// order of the published table.
#[derive(Clone, Copy)]
pub(super) struct Paraphrases<'a> {
    vocabulary: Strings<'a>,
    /// The last word of each node's phrase. The children of a node are adjacent, in
    /// ascending order of this word.
    words: U16s<'a>,
    /// The start of each node's children.
    children: U32s<'a>,
    /// The start of each node's paraphrases.
    starts: U32s<'a>,
    /// The paraphrases, each as its number of words and its words.
    phrases: U16s<'a>,
}

impl<'a> Paraphrases<'a> {
    /// The node of the empty phrase.
    pub(super) const ROOT: u32 = 0;

    pub(super) fn new(data: &'a Data) -> Self {
        Paraphrases {
            vocabulary: Strings::new(data, Section::VocabularyStarts, Section::Vocabulary),
            words: U16s(data.section(Section::NodeWords)),
            children: U32s(data.section(Section::NodeChildren)),
            starts: U32s(data.section(Section::PhraseStarts)),
            phrases: U16s(data.section(Section::Phrases)),
        }
    }

    /// The number of a word, if the table has it.
    pub(super) fn word(self, word: &str) -> Option<u16> {
        u16::try_from(self.vocabulary.find(word)?).ok()
    }

    /// The node of the phrase that is longer by `word`, if any phrase in the table starts so.
    pub(super) fn child(self, node: u32, word: u16) -> Option<u32> {
        let part = self.children.part(node as usize)?;
        let (mut low, mut high) = (part.start, part.end);
        while low < high {
            let middle = low.midpoint(high);
            match self.words.get(middle)?.cmp(&word) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return u32::try_from(middle).ok(),
            }
        }
        None
    }

    /// The words by which longer phrases go on.
    pub(super) fn children(self, node: u32) -> impl Iterator<Item = u16> {
        let part = self.children.part(node as usize).unwrap_or(0..0);
        part.map_while(move |child| self.words.get(child))
    }

    /// The paraphrases of a phrase.
    pub(super) fn replacements(self, node: u32) -> impl Iterator<Item = U16s<'a>> {
        let part = self.starts.part(node as usize).unwrap_or(0..0);
        let mut rest = self.phrases.slice(part).unwrap_or(U16s(&[]));
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            let (phrase, tail) = tail.split_at(usize::from(length))?;
            rest = tail;
            Some(phrase)
        })
    }
}

impl Data {
    pub(super) fn function_words(&self) -> Strings<'_> {
        Strings::new(self, Section::FunctionWordStarts, Section::FunctionWords)
    }

    pub(super) fn abbreviation(&self, word: &str) -> Option<Abbreviation> {
        let always = Strings::new(self, Section::PrefixStarts, Section::Prefixes);
        let numeric = Strings::new(self, Section::NumericPrefixStarts, Section::NumericPrefixes);
        if always.contains(word) {
            Some(Abbreviation::Always)
        } else {
            numeric
                .contains(word)
                .then_some(Abbreviation::BeforeNumbers)
        }
    }

    /// The synonym sets of words.
    pub(super) fn synonyms(&self) -> Sets<'_> {
        let names = Strings::new(self, Section::SynonymStarts, Section::Synonyms);
        Sets::new(self, names, Section::SynsetStarts, Section::Synsets)
    }

    /// The synonym sets of the base forms of irregular forms.
    pub(super) fn exceptions(&self) -> Sets<'_> {
        let names = Strings::new(self, Section::ExceptionStarts, Section::Exceptions);
        Sets::new(
            self,
            names,
            Section::ExceptionSynsetStarts,
            Section::ExceptionSynsets,
        )
    }

    pub(super) fn paraphrases(&self) -> Paraphrases<'_> {
        Paraphrases::new(self)
    }
}
