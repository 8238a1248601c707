//! The properties of words that the matchers need, computed once per word instead of once
//! per pair of words.

use super::bits::Bits;
use super::file::Data;
use super::normalise;
use super::span::Span;
use super::tables::{Paraphrases, Sets};
use crate::corpus::Words;
use crate::parallel::{cores, in_parts};
use foldhash::fast::FixedState;
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashMap;
use std::num::NonZeroU32;

/// The properties of a word.
pub(super) struct Word {
    pub forms: Forms,
    /// Whether it is weighted as a function word.
    pub function: bool,
    /// Its synonym sets, ascending.
    pub synsets: Vec<u32>,
    /// Its number in the paraphrase table.
    pub paraphrase: Option<u16>,
    /// Its own node there.
    phrase: Option<Node>,
    /// Whether normalisation leaves it as it is, whatever words are beside it.
    plain: bool,
}

/// What tells most pairs of words apart.
#[derive(Clone, Copy)]
pub(super) struct Forms {
    /// The tool takes words of equal hash for the same word.
    pub hash: i32,
    /// Hash of its stem.
    pub stem: i32,
    pub synsets: Bits,
}

impl Word {
    fn new(word: &str, stemmer: &Stemmer, data: &Data) -> Word {
        let synsets = synsets(word, data);
        let table = data.paraphrases();
        let paraphrase = table.word(word);
        Word {
            forms: Forms {
                hash: hash(word),
                stem: hash(&stemmer.stem(word)),
                synsets: synsets.iter().copied().collect(),
            },
            function: data.function_words().contains(word),
            synsets,
            paraphrase,
            phrase: paraphrase.and_then(|word| Node::child(table, Paraphrases::ROOT, word)),
            plain: !word.is_empty() && normalise::plain(word.as_bytes()),
        }
    }
}

/// A caption as the matchers use it. Another one takes its memory.
#[derive(Default)]
pub(super) struct Sentence {
    /// Numbers of words in the [`Lexicon`].
    pub words: Vec<u32>,
    /// How many of them are function words.
    pub function_words: u64,
    pub forms: Vec<Forms>,
    /// Each word's number in the paraphrase table, and the set of them.
    pub paraphrase: Vec<Option<u16>>,
    pub present: Bits,
    /// Runs of words that the paraphrase table contains.
    pub phrases: Vec<Phrase>,
}

impl Sentence {
    fn clear(&mut self) {
        self.words.clear();
        self.function_words = 0;
        self.forms.clear();
        self.paraphrase.clear();
        self.phrases.clear();
    }
}

/// A run of words in the paraphrase table.
pub(super) struct Phrase {
    pub span: Span,
    pub node: Node,
}

/// A node of the paraphrase table.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub number: u32,
    /// The first words of its paraphrases.
    pub firsts: Bits,
    /// The words by which longer phrases go on.
    children: Bits,
}

impl Node {
    /// The node of the phrase that is longer by `word`.
    fn child(table: Paraphrases, node: u32, word: u16) -> Option<Node> {
        let number = table.child(node, word)?;
        let firsts = table.replacements(number);
        let firsts = firsts.filter_map(|phrase| phrase.first()).map(u32::from);
        Some(Node {
            number,
            firsts: firsts.collect(),
            children: table.children(number).map(u32::from).collect(),
        })
    }
}

/// The words of a corpus, which all threads share.
pub(super) struct Vocabulary<'a> {
    data: &'a Data,
    numbers: &'a Words,
    words: Vec<Word>,
}

impl<'a> Vocabulary<'a> {
    pub fn new(data: &'a Data, numbers: &'a Words) -> Self {
        let list = numbers.list();
        let parts = in_parts(list.len(), cores(), |part| {
            let stemmer = Stemmer::create(Algorithm::English);
            let words = list[part].iter();
            words.map(|word| Word::new(word, &stemmer, data)).collect()
        });
        let words = parts.into_iter().flat_map(|part: Vec<Word>| part).collect();
        Vocabulary {
            data,
            numbers,
            words,
        }
    }
}

/// The words of a corpus, and those that normalisation makes of them.
pub(super) struct Lexicon<'a> {
    vocabulary: &'a Vocabulary<'a>,
    stemmer: Stemmer,
    /// Numbers of further words, which follow those of the vocabulary.
    numbers: HashMap<String, u32>,
    words: Vec<Word>,
    /// The nodes of longer phrases that were looked up, and their numbers, from 1, by node and
    /// last word.
    nodes: Vec<Node>,
    longer: HashMap<u64, Option<NonZeroU32>, FixedState>,
}

impl<'a> Lexicon<'a> {
    pub fn new(vocabulary: &'a Vocabulary<'a>) -> Self {
        Lexicon {
            vocabulary,
            stemmer: Stemmer::create(Algorithm::English),
            numbers: HashMap::new(),
            words: Vec::new(),
            nodes: Vec::new(),
            longer: HashMap::default(),
        }
    }

    /// The properties of a word of a [`Sentence`].
    pub fn word(&self, number: u32) -> &Word {
        let known = &self.vocabulary.words;
        let number = number as usize;
        known
            .get(number)
            .unwrap_or_else(|| &self.words[number - known.len()])
    }

    pub fn paraphrases(&self) -> Paraphrases<'a> {
        self.vocabulary.data.paraphrases()
    }

    /// Whether normalisation leaves all these words of the corpus as they are.
    pub fn plain(&self, caption: &[u32]) -> bool {
        let mut words = caption.iter().map(|&id| self.word(id));
        words.all(|word| word.plain)
    }

    /// Normalises a line and looks up its words and phrases.
    pub fn normalise(&mut self, line: &str, sentence: &mut Sentence) {
        let data = self.vocabulary.data;
        let words = normalise::words(line, |word| data.abbreviation(word));
        let words: Vec<u32> = words.into_iter().map(|word| self.number(word)).collect();
        self.look_up(&words, sentence);
    }

    /// Looks up words and phrases.
    pub fn look_up(&mut self, words: &[u32], sentence: &mut Sentence) {
        sentence.clear();
        sentence.words.extend(words);
        for &word in words {
            let word = self.word(word);
            sentence.function_words += u64::from(word.function);
            sentence.forms.push(word.forms);
            sentence.paraphrase.push(word.paraphrase);
        }
        let present = sentence.paraphrase.iter().flatten();
        sentence.present = present.copied().map(u32::from).collect();
        self.phrases(words, &mut sentence.phrases);
    }

    /// Every run of words in the table, by start, then by length.
    fn phrases(&mut self, words: &[u32], phrases: &mut Vec<Phrase>) {
        for start in 0..words.len() {
            let mut node = self.word(words[start]).phrase;
            for end in start + 1.. {
                let Some(known) = node else { break };
                let length = end - start;
                let span = Span { start, length };
                phrases.push(Phrase { span, node: known });
                let word = words.get(end).and_then(|&word| self.word(word).paraphrase);
                node = word.and_then(|word| self.longer(&known, word));
            }
        }
    }

    /// The node of the phrase that is longer by `word`.
    fn longer(&mut self, node: &Node, word: u16) -> Option<Node> {
        if !node.children.contains(word.into()) {
            return None;
        }
        let table = self.paraphrases();
        let key = u64::from(node.number) << 16 | u64::from(word);
        let number = *self.longer.entry(key).or_insert_with(|| {
            self.nodes.push(Node::child(table, node.number, word)?);
            NonZeroU32::new(self.nodes.len() as u32) // the table has fewer than 2^32 nodes
        });
        number.map(|number| self.nodes[number.get() as usize - 1])
    }

    fn number(&mut self, word: String) -> u32 {
        let known = self.vocabulary.numbers.get(&word);
        if let Some(number) = known.or_else(|| self.numbers.get(&word).copied()) {
            return number;
        }
        let properties = Word::new(&word, &self.stemmer, self.vocabulary.data);
        // memory ends long before 2^32 words
        let number = (self.vocabulary.words.len() + self.words.len()) as u32;
        self.words.push(properties);
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
