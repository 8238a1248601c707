//! The words, their ids, and `vocab.json`.

use super::tokenizer::{SPECIALS, Tokenizer};
use crate::Artifact;
use attend_program::{At, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Name and version of the format of `vocab.json`.
const FORMAT: &str = "attend.vocabulary/1";

/// Maximum number of faults in a message.
const SHOWN: usize = 5;

/// Words and their ids. `<pad>` is 0, words are 1 to n, then come `<unk>`,
/// `<start>` and `<end>`, as in the tutorial's word map.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// The words, by ascending id from 1.
    pub words: Vec<Word>,
    /// Captions of more words than this were left out.
    pub max_length: usize,
    /// Words seen fewer times than this in the train split became `<unk>`.
    pub min_count: u64,
    /// How captions are split into words.
    pub tokenizer: Tokenizer,
    ids: HashMap<String, i64>,
}

/// A word of the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    /// The word.
    #[schemars(length(min = 1))]
    pub word: String,
    /// Its id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Number of its occurrences in the captions of the train split.
    pub count: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VocabFile {
    /// `attend.vocabulary/1`.
    #[schemars(extend("const" = FORMAT))]
    format: String,
    /// How captions are split into words.
    tokenizer: Tokenizer,
    /// Words seen fewer times than this in the train split became `<unk>`.
    min_count: u64,
    /// Captions of more words than this were left out.
    #[schemars(range(min = 1))]
    max_length: usize,
    /// The ids of `<pad>` (0), `<unk>` (n + 1), `<start>` (n + 2) and `<end>` (n + 3), where n
    /// is the number of words.
    specials: BTreeMap<String, i64>,
    /// The words, with the ids 1 to n in order.
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

    /// The same vocabulary with another tokenizer.
    pub fn with_tokenizer(self, tokenizer: Tokenizer) -> Vocabulary {
        Vocabulary { tokenizer, ..self }
    }

    /// Reads `vocab.json` of a vocabulary artifact.
    ///
    /// # Errors
    /// Those of [`Vocabulary::read`].
    pub fn open(artifact: &Artifact) -> Result<Vocabulary> {
        Vocabulary::read(&artifact.file("vocab.json")?)
    }

    /// Reads a `vocab.json`.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not a valid vocabulary, naming a word whose id is wrong.
    pub fn read(path: &Path) -> Result<Vocabulary> {
        let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
        let text = std::fs::read(path).at(path)?;
        let file: VocabFile = serde_json::from_slice(&text)
            .map_err(|e| refused(format!("not a vocabulary ({e})")))?;
        if file.format != FORMAT {
            return Err(refused(format!(
                "has format {:?}, but this program knows only {FORMAT:?}",
                file.format
            )));
        }
        let words = file
            .words
            .iter()
            .map(|word| (word.word.clone(), word.count));
        let vocabulary =
            Vocabulary::new(words, file.min_count, file.max_length).with_tokenizer(file.tokenizer);
        let faults = vocabulary.faults(&file);
        if faults.is_empty() {
            return Ok(vocabulary);
        }
        let more = match faults.len().saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        Err(refused(format!(
            "{}{more}; ids are 0 for <pad>, 1 and so on for the words in order, then those of <unk>, <start> and <end>",
            faults[..faults.len().min(SHOWN)].join("; ")
        )))
    }

    /// What is wrong with the ids and words of a file. `self` has the expected ids.
    fn faults(&self, file: &VocabFile) -> Vec<String> {
        let mut faults = Vec::new();
        for (word, given) in self.words.iter().zip(&file.words) {
            if word.id != given.id {
                faults.push(format!("word {:?} has id {}", given.word, given.id));
            }
            if self.ids.get(&word.word) != Some(&word.id) {
                faults.push(format!("word {:?} occurs twice", word.word));
            }
            if word.word.is_empty() || SPECIALS.contains(&word.word.as_str()) {
                faults.push(format!("id {}: {:?} is not a word", word.id, word.word));
            }
        }
        if self.specials() != file.specials {
            faults.push(format!("the specials are {:?}", file.specials));
        }
        if file.max_length == 0 {
            faults.push("max_length is 0".to_owned());
        }
        faults
    }

    /// Writes `vocab.json`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be written.
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

    /// Number of ids, including the four specials: the width of the logits.
    pub fn len(&self) -> usize {
        self.words.len() + SPECIALS.len()
    }

    /// Whether there are no words.
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

    /// The id of a word, or of `<unk>` if it is not in the vocabulary.
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

    /// `<start>`, the ids of a caption's words, `<end>`.
    pub fn encode(&self, caption: &str) -> Vec<i64> {
        let mut ids = vec![self.start()];
        let push = |word: &str| ids.push(self.id(word));
        self.tokenizer.each_word(caption, push);
        ids.push(self.end());
        ids
    }

    /// The caption of these ids: up to `<end>`, without `<start>` and `<pad>`.
    ///
    /// # Panics
    /// If one of them is not an id of this vocabulary.
    #[expect(
        clippy::expect_used,
        reason = "a model's ids are those of its vocabulary"
    )]
    pub fn decode(&self, ids: &[i64]) -> String {
        let words: Vec<&str> = ids
            .iter()
            .take_while(|id| **id != self.end())
            .filter(|id| **id != self.start() && **id != self.pad())
            .map(|id| self.word(*id).expect("an id of this vocabulary"))
            .collect();
        words.join(" ")
    }
}
