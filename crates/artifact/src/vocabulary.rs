//! The `vocabulary` artifact: `vocab.json`, one self-describing file with the
//! tokeniser's rules, the special tokens and the words, and
//! `encoded.parquet`, the captions as ids.

pub use crate::encoded::EncodedRecord;

use crate::{Artifact, At, Error, Record, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use unicode_segmentation::UnicodeSegmentation;

/// Name and version of the format of `vocab.json`.
const FORMAT: &str = "attend.vocabulary/1";
const SPECIALS: [&str; 4] = ["<pad>", UNK, "<start>", "<end>"];
/// What stands for a word that is not in the vocabulary.
pub const UNK: &str = "<unk>";

/// How captions are split into words; stands in `vocab.json` by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokenizer {
    /// As the `tokens` of Karpathy's data sets: lower-case, the ASCII apostrophe
    /// dropped, every other character that is neither letter nor digit separates.
    #[default]
    LowercaseAlphanumeric,
    /// For any language: lower-case, and split at Unicode's word boundaries (UAX 29).
    /// Words keep their marks and apostrophes; Han, Hiragana, Thai, Lao, Khmer and
    /// Myanmar, which have no spaces between words, come as single characters.
    UnicodeWords,
}

impl Tokenizer {
    /// Calls `take` with each word of a caption. A special token that is spelled out in
    /// the caption is never taken for a word: `<unk>`, as captions out of the tutorial's
    /// HDF5 files have it, comes as [`UNK`]; `<start>`, `<end>` and `<pad>` say nothing
    /// about the image and are left out.
    pub fn each_word(self, caption: &str, mut take: impl FnMut(&str)) {
        // As a whole: a sigma at a word's end is another than within.
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

    /// The words of a text in lower case.
    fn plain_words(self, text: &str, take: impl FnMut(&str)) {
        match self {
            Tokenizer::LowercaseAlphanumeric => {
                let words = text.split(|c: char| !c.is_alphanumeric());
                words.filter(|word| !word.is_empty()).for_each(take);
            }
            Tokenizer::UnicodeWords => text.unicode_words().for_each(take),
        }
    }

    /// A caption as scores read it. The official scorers tell words apart where English
    /// does; what this tokeniser splits elsewhere is split by it first, as a model's own
    /// captions come.
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

/// The first special token that is spelled out in a text, and where.
fn find_special(text: &str) -> Option<(usize, &'static str)> {
    let begins = |at: usize| SPECIALS.iter().find(|name| text[at..].starts_with(*name));
    let mut brackets = text.match_indices('<');
    brackets.find_map(|(at, _)| Some((at, *begins(at)?)))
}

/// Words and their ids. `<pad>` is 0, words are 1 to n, then come `<unk>`,
/// `<start>` and `<end>`, as in the tutorial's word map.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// The words, by ascending id from 1.
    pub words: Vec<Word>,
    /// Captions of more tokens than this were left out.
    pub max_length: usize,
    /// Words seen fewer times than this in the train split became `<unk>`.
    pub min_count: u64,
    /// How captions are split into words.
    pub tokenizer: Tokenizer,
    ids: HashMap<String, i64>,
}

/// A word of the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Its id.
    pub id: i64,
    /// How often it stands in the captions of the train split.
    pub count: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VocabFile {
    format: String,
    tokenizer: Tokenizer,
    min_count: u64,
    max_length: usize,
    specials: BTreeMap<String, i64>,
    words: Vec<Word>,
}

impl Vocabulary {
    /// A vocabulary of these words with their counts, in the order of their ids.
    pub fn new(
        words: impl IntoIterator<Item = (String, u64)>,
        min_count: u64,
        max_length: usize,
    ) -> Vocabulary {
        let words: Vec<Word> = words
            .into_iter()
            .zip(1..)
            .map(|((word, count), id)| Word { word, id, count })
            .collect();
        let ids = words
            .iter()
            .map(|word| (word.word.clone(), word.id))
            .collect();
        Vocabulary {
            words,
            max_length,
            min_count,
            tokenizer: Tokenizer::default(),
            ids,
        }
    }

    /// The same, for captions that are split in this way.
    pub fn with_tokenizer(self, tokenizer: Tokenizer) -> Vocabulary {
        Vocabulary { tokenizer, ..self }
    }

    /// Reads `vocab.json` of a vocabulary artifact.
    ///
    /// # Errors
    /// As [`Vocabulary::read`].
    pub fn open(artifact: &Artifact) -> Result<Vocabulary> {
        Vocabulary::read(&artifact.file("vocab.json")?)
    }

    /// Reads a vocabulary artifact whole: the words, and the captions as ids, each of
    /// them checked. Whether the images are those of a data set,
    /// [`EncodedRecord::check_images`] says.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file, and the row and the id in it.
    pub fn open_encoded(artifact: &Artifact) -> Result<(Vocabulary, Vec<EncodedRecord>)> {
        let vocabulary = Vocabulary::open(artifact)?;
        let path = artifact.file("encoded.parquet")?;
        let encoded = EncodedRecord::read(&path)?;
        for (row, caption) in encoded.iter().enumerate() {
            caption
                .check(&vocabulary)
                .map_err(|why| caption.refused(&path, row, &why))?;
        }
        Ok((vocabulary, encoded))
    }

    /// Reads a `vocab.json`.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is not one, naming the word whose id is not what it
    /// must be.
    pub fn read(path: &Path) -> Result<Vocabulary> {
        let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
        let text = std::fs::read(path).at(path)?;
        let file: VocabFile = serde_json::from_slice(&text)
            .map_err(|e| refused(format!("not a vocabulary ({e})")))?;
        if file.format != FORMAT {
            return Err(refused(format!(
                "format {:?}; this program knows {FORMAT:?}",
                file.format
            )));
        }
        let words = file
            .words
            .iter()
            .map(|word| (word.word.clone(), word.count));
        let vocabulary =
            Vocabulary::new(words, file.min_count, file.max_length).with_tokenizer(file.tokenizer);
        vocabulary.check(&file).map_err(|why| {
            refused(format!(
                "{why}; ids are 0 for <pad>, 1 and so on for the words in order, then those of <unk>, <start> and <end>"
            ))
        })?;
        Ok(vocabulary)
    }

    /// Why the file is none of a vocabulary. The ids of `self` are as they must be.
    fn check(&self, file: &VocabFile) -> Result<(), String> {
        for (word, given) in self.words.iter().zip(&file.words) {
            if word.id != given.id {
                return Err(format!("word {:?} has id {}", given.word, given.id));
            }
            if self.ids.get(&word.word) != Some(&word.id) {
                return Err(format!("word {:?} stands there twice", word.word));
            }
            if word.word.is_empty() || SPECIALS.contains(&word.word.as_str()) {
                return Err(format!("id {}: {:?} is no word", word.id, word.word));
            }
        }
        match self.specials() == file.specials {
            true => Ok(()),
            false => Err(format!("the specials are {:?}", file.specials)),
        }
    }

    /// Writes `vocab.json`.
    ///
    /// # Errors
    /// [`Error::Internal`] where the file can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = VocabFile {
            format: FORMAT.into(),
            tokenizer: self.tokenizer,
            min_count: self.min_count,
            max_length: self.max_length,
            specials: self.specials(),
            words: self.words.clone(),
        };
        let text = serde_json::to_string_pretty(&file).map_err(Error::internal)?;
        std::fs::write(path, text + "\n").at(path)
    }

    fn specials(&self) -> BTreeMap<String, i64> {
        let ids = [self.pad(), self.unk(), self.start(), self.end()];
        SPECIALS
            .iter()
            .map(|name| (*name).to_owned())
            .zip(ids)
            .collect()
    }

    /// Number of ids, the four specials included: the width of the logits.
    pub fn len(&self) -> usize {
        self.words.len() + SPECIALS.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Id of `<pad>`.
    pub fn pad(&self) -> i64 {
        0
    }

    /// Id of `<unk>`.
    pub fn unk(&self) -> i64 {
        self.words.len() as i64 + 1
    }

    /// Id of `<start>`.
    pub fn start(&self) -> i64 {
        self.words.len() as i64 + 2
    }

    /// Id of `<end>`.
    pub fn end(&self) -> i64 {
        self.words.len() as i64 + 3
    }

    /// Id of a word, that of `<unk>` where it is none.
    pub fn id(&self, word: &str) -> i64 {
        self.ids.get(word).copied().unwrap_or_else(|| self.unk())
    }

    /// The word or special token of an id.
    pub fn word(&self, id: i64) -> Option<&str> {
        match id {
            id if id == self.pad() => Some(SPECIALS[0]),
            id if id == self.unk() => Some(SPECIALS[1]),
            id if id == self.start() => Some(SPECIALS[2]),
            id if id == self.end() => Some(SPECIALS[3]),
            id => self
                .words
                .get(usize::try_from(id).ok()?.checked_sub(1)?)
                .map(|word| word.word.as_str()),
        }
    }

    /// Ids of a caption's words between `<start>` and `<end>`.
    pub fn encode(&self, caption: &str) -> Vec<i64> {
        let mut ids = vec![self.start()];
        let push = |word: &str| ids.push(self.id(word));
        self.tokenizer.each_word(caption, push);
        ids.push(self.end());
        ids
    }

    /// The caption of these ids: up to `<end>`, without `<start>` and `<pad>`.
    pub fn decode(&self, ids: &[i64]) -> String {
        let words: Vec<&str> = ids
            .iter()
            .take_while(|id| **id != self.end())
            .filter(|id| **id != self.start() && **id != self.pad())
            .filter_map(|id| self.word(*id))
            .collect();
        words.join(" ")
    }
}
