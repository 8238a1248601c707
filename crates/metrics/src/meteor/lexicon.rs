//! The properties of words that the matchers need, computed once per word instead of once
//! per pair of words.

use super::file::Data;
use super::normalise;
use super::span::Span;
use super::tables::{Paraphrases, Sets};
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashMap;

/// The properties of a word.
pub(super) struct Word {
    /// The tool takes words of equal hash for the same word.
    pub hash: i32,
    /// Hash of its stem.
    pub stem: i32,
    /// Whether it is weighted as a function word.
    pub function: bool,
    /// Its synonym sets, ascending.
    pub synsets: Vec<u32>,
    /// Its number in the paraphrase table.
    pub paraphrase: Option<u16>,
}

/// A caption as the matchers use it.
pub(super) struct Sentence {
    /// Indices into [`Lexicon::words`].
    pub words: Vec<u32>,
    /// Runs of words that the paraphrase table contains.
    pub phrases: Vec<Phrase>,
}

/// A run of words in the paraphrase table.
pub(super) struct Phrase {
    pub span: Span,
    /// Its node in the table.
    pub node: u32,
}

/// All words seen so far.
pub(super) struct Lexicon<'a> {
    data: &'a Data,
    stemmer: Stemmer,
    numbers: HashMap<String, u32>,
    /// Properties by word number.
    words: Vec<Word>,
}

impl<'a> Lexicon<'a> {
    pub fn new(data: &'a Data) -> Self {
        Lexicon {
            data,
            stemmer: Stemmer::create(Algorithm::English),
            numbers: HashMap::new(),
            words: Vec::new(),
        }
    }

    /// The properties of a word of a [`Sentence`].
    pub fn word(&self, number: u32) -> &Word {
        &self.words[number as usize]
    }

    pub fn paraphrases(&self) -> Paraphrases<'a> {
        self.data.paraphrases()
    }

    /// Normalises a line and looks up its words and phrases.
    pub fn sentence(&mut self, line: &str) -> Sentence {
        let words = normalise::words(line, |word| self.data.abbreviation(word));
        let words: Vec<u32> = words.into_iter().map(|word| self.number(word)).collect();
        let phrases = self.phrases(&words);
        Sentence { words, phrases }
    }

    /// Every run of words in the table, by start, then by length.
    fn phrases(&self, words: &[u32]) -> Vec<Phrase> {
        let table = self.paraphrases();
        let mut phrases = Vec::new();
        for start in 0..words.len() {
            let mut node = Paraphrases::ROOT;
            for (more, &word) in words[start..].iter().enumerate() {
                let word = self.word(word).paraphrase;
                let Some(next) = word.and_then(|word| table.child(node, word)) else {
                    break;
                };
                node = next;
                let length = more + 1;
                let span = Span { start, length };
                phrases.push(Phrase { span, node });
            }
        }
        phrases
    }

    fn number(&mut self, word: String) -> u32 {
        if let Some(&number) = self.numbers.get(&word) {
            return number;
        }
        self.words.push(Word {
            hash: hash(&word),
            stem: hash(&self.stemmer.stem(&word)),
            function: self.data.function_words().contains(&word),
            synsets: synsets(&word, self.data),
            paraphrase: self.paraphrases().word(&word),
        });
        let number = self.numbers.len() as u32; // memory ends long before 2^32 words
        self.numbers.insert(word, number);
        number
    }
}

/// Java's hash of a string, by which the tool compares words.
fn hash(word: &str) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    word.encode_utf16().fold(0, step)
}

/// The synonym sets of a word and of its base forms.
fn synsets(word: &str, data: &Data) -> Vec<u32> {
    let synonyms = data.synonyms();
    let mut sets: Vec<u32> = synonyms.get(word).into_iter().flatten().collect();
    match data.exceptions().get(word) {
        Some(irregular) => sets.extend(irregular),
        None => {
            let base = base(word, synonyms).and_then(|base| synonyms.get(&base));
            sets.extend(base.into_iter().flatten());
        }
    }
    sets.sort_unstable();
    sets.dedup();
    sets
}

/// Regular endings and their replacements, in the order in which the tool tries them.
const ENDINGS: [(&str, &str); 20] = [
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    ("s", ""),
    ("ies", "y"),
    ("es", "e"),
    ("es", ""),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
    ("er", ""),
    ("est", ""),
    ("er", "e"),
    ("est", "e"),
];

/// The first regular base form that has synonyms, if any.
fn base(word: &str, synonyms: Sets) -> Option<String> {
    if word.ends_with("ss") || word.encode_utf16().count() <= 2 {
        return None; // its own base
    }
    let mut bases = ENDINGS.iter().filter_map(|(ending, instead)| {
        let stem = word.strip_suffix(ending)?;
        Some(format!("{stem}{instead}"))
    });
    bases.find(|base| synonyms.contains(base))
}
