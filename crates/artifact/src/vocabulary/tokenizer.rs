//! Splits captions into words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;

/// The tokens that are not words, in the order of their ids.
pub(super) const SPECIALS: [&str; 4] = ["<pad>", UNK, "<start>", "<end>"];
/// The token for words that are not in the vocabulary.
pub const UNK: &str = "<unk>";

/// How captions are split into words; `vocab.json` holds the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tokenizer {
    /// As the `tokens` of Karpathy's data sets: lower-case; drops the ASCII apostrophe, and
    /// splits at every other character that is neither letter nor digit.
    #[default]
    LowercaseAlphanumeric,
    /// For any language: lower-case, and split at Unicode's word boundaries (UAX 29).
    /// Words keep their marks and apostrophes; Han, Hiragana, Thai, Lao, Khmer and
    /// Myanmar, which have no spaces between words, are split into single characters.
    UnicodeWords,
}

impl Tokenizer {
    /// Calls `take` with each word of a caption. A special token that is spelled out in
    /// the caption is not a word: `<unk>`, which captions from the tutorial's HDF5 files
    /// contain, is passed on as [`UNK`]; `<start>`, `<end>` and `<pad>` say nothing
    /// about the image and are left out.
    pub fn each_word(self, caption: &str, mut take: impl FnMut(&str)) {
        // Lower-cases the whole text: a sigma at a word's end differs from one inside.
        let mut text = caption.to_lowercase();
        if self == Tokenizer::LowercaseAlphanumeric {
            text.retain(|c| c != '\'');
        }
        let mut rest = text.as_str();
        while let Some((at, special)) = find_special(rest) {
            self.plain_words(&rest[..at], &mut take);
            if special == UNK {
                take(UNK);
            }
            rest = &rest[at + special.len()..];
        }
        self.plain_words(rest, take);
    }

    /// Calls `take` with each word of a lower-case text without special tokens.
    fn plain_words(self, text: &str, take: impl FnMut(&str)) {
        match self {
            Tokenizer::LowercaseAlphanumeric => {
                let words = text.split(|c: char| !c.is_alphanumeric());
                words.filter(|word| !word.is_empty()).for_each(take);
            }
            Tokenizer::UnicodeWords => text.unicode_words().for_each(take),
        }
    }

    /// A caption as input for scores. The official scorers split words as in English; if
    /// this tokeniser splits differently, the caption is split with it first and joined with
    /// spaces, as a model's own captions are.
    pub fn for_scores(self, caption: &str) -> Cow<'_, str> {
        match self {
            Tokenizer::LowercaseAlphanumeric => caption.into(),
            Tokenizer::UnicodeWords => self.words(caption).join(" ").into(),
        }
    }

    /// The words of a caption.
    pub fn words(self, caption: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.each_word(caption, |word| words.push(word.to_owned()));
        words
    }
}

/// The first special token that is spelled out in a text, and its position in bytes.
fn find_special(text: &str) -> Option<(usize, &'static str)> {
    let begins = |at: usize| SPECIALS.iter().find(|name| text[at..].starts_with(*name));
    let mut brackets = text.match_indices('<');
    brackets.find_map(|(at, _)| Some((at, *begins(at)?)))
}
