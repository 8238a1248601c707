//! Compiles the METEOR tool's data files into the one file of [`super::file`].

use super::file::{self, Data, SECTIONS, Section};
use crate::Error;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Zip archive with word lists and WordNet's synonyms.
pub(super) const JAR: &str = "meteor-1.5.jar";
/// The paraphrase table, compressed by gzip.
const TABLE: &str = "data/paraphrase-en.gz";

impl Data {
    /// Compiles METEOR's English data into one file that is mapped, not loaded.
    ///
    /// `source` is a folder with `meteor-1.5.jar` and `data/paraphrase-en.gz`, like
    /// the one in the Python package `pycocoevalcap`. The whole file appears at `into`,
    /// or nothing.
    ///
    /// # Errors
    /// If a source file is missing or not in its documented form, or the result can't
    /// be written.
    pub fn compile(source: &Path, into: &Path) -> Result<(), Error> {
        let mut sections = [const { Vec::new() }; SECTIONS];
        lists(&source.join(JAR), &mut sections)?;
        paraphrases(&source.join(TABLE), &mut sections)?;
        file::write(into, &sections)
    }
}

type Sections = [Vec<u8>; SECTIONS];

/// Compiles everything in the archive.
fn lists(path: &Path, sections: &mut Sections) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let bad = |e: zip::result::ZipError| Error::malformed(path, e.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(bad)?;
    let mut read = |name: &str| {
        let mut text = String::new();
        let mut entry = archive.by_name(name).map_err(bad)?;
        entry.read_to_string(&mut text).map_err(Error::io(path))?;
        Ok(text)
    };

    let functions = read("function/english.words")?;
    let functions: BTreeSet<&str> = functions.lines().collect();
    put_strings(sections, Section::FunctionWordStarts, functions);

    let prefixes = read("nonbreaking/english.prefixes")?;
    let (always, numeric) = prefix_lists(&prefixes);
    put_strings(sections, Section::PrefixStarts, always);
    put_strings(sections, Section::NumericPrefixStarts, numeric);

    let synonyms = read("synonym/english.synsets")?;
    let exceptions = read("synonym/english.exceptions")?;
    let bad = |what| Error::malformed(path, what);
    let synonyms = synsets(&synonyms).map_err(bad)?;
    let exceptions = exceptions_of(&exceptions, &synonyms).map_err(bad)?;
    put_sets(
        sections,
        Section::SynonymStarts,
        Section::SynsetStarts,
        &synonyms,
    );
    put_sets(
        sections,
        Section::ExceptionStarts,
        Section::ExceptionSynsetStarts,
        &exceptions,
    );
    Ok(())
}

/// Abbreviations that keep their full stop: always, and only before a number.
fn prefix_lists(text: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let mut lists = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        match (fields.next(), fields.next()) {
            (Some(prefix), _) if prefix.starts_with('#') => {}
            (Some(prefix), Some("#NUMERIC_ONLY#")) => _ = lists.1.insert(prefix),
            (Some(prefix), _) => _ = lists.0.insert(prefix),
            (None, _) => {}
        }
    }
    lists
}

type SetsByName<'a> = BTreeMap<&'a str, BTreeSet<u32>>;

/// A line with a word, a line with the numbers of its synonym sets, and so on.
fn synsets(text: &str) -> Result<SetsByName<'_>, String> {
    let mut sets = SetsByName::new();
    for (word, numbers) in pairs(text)? {
        let numbers: Result<_, _> = numbers.split_whitespace().map(str::parse).collect();
        let numbers = numbers.map_err(|_| format!("synonym sets of {word:?}: not numbers"))?;
        sets.insert(word, numbers);
    }
    Ok(sets)
}

/// A line with a base form, a line with its irregular forms, and so on. Each
/// irregular form gets the synonym sets of all its bases.
fn exceptions_of<'a>(text: &'a str, synsets: &SetsByName) -> Result<SetsByName<'a>, String> {
    let mut sets = SetsByName::new();
    for (base, forms) in pairs(text)? {
        for form in forms.split_whitespace() {
            let set = sets.entry(form).or_default();
            set.extend(synsets.get(base).into_iter().flatten());
        }
    }
    Ok(sets)
}

/// The lines as pairs.
fn pairs(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let (pairs, rest) = lines.as_chunks();
    match rest {
        [] => Ok(pairs.iter().map(|&[a, b]| (a, b)).collect()),
        _ => Err("synonyms: an odd number of lines".into()),
    }
}

/// Compiles the paraphrase table. Each entry has three lines: a probability, which METEOR
/// ignores; a phrase; its paraphrase.
fn paraphrases(path: &Path, sections: &mut Sections) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let text = flate2::bufread::MultiGzDecoder::new(BufReader::new(file));
    let mut text = BufReader::with_capacity(1 << 16, text);
    let mut table = Table::new();
    let mut lines = [const { String::new() }; 3];
    loop {
        for line in &mut lines {
            line.clear();
            text.read_line(line).map_err(Error::io(path))?;
        }
        let [probability, phrase, paraphrase] = &lines;
        if probability.is_empty() {
            break;
        }
        let added = table.add(phrase, paraphrase);
        added.map_err(|what| Error::malformed(path, what))?;
    }
    table.put(sections);
    Ok(())
}

/// The paraphrase table during compilation.
struct Table {
    /// Numbers of words, in order of appearance.
    words: HashMap<String, u16>,
    /// Nodes of the phrase tree, by parent and last word; 0 is the root.
    nodes: HashMap<(u32, u16), u32>,
    /// For each entry, the node of its phrase and the position of its paraphrase.
    lines: Vec<(u32, u32)>,
    /// The paraphrases, each as its number of words and its words.
    phrases: Vec<u16>,
}

impl Table {
    fn new() -> Self {
        Table {
            words: HashMap::new(),
            nodes: HashMap::new(),
            lines: Vec::new(),
            phrases: Vec::new(),
        }
    }

    fn add(&mut self, phrase: &str, paraphrase: &str) -> Result<(), String> {
        let mut node = 0;
        for word in phrase.split_whitespace() {
            let word = self.word(word)?;
            let next = u32::try_from(self.nodes.len() + 1);
            let next = next.map_err(|_| "paraphrases: too many")?;
            node = *self.nodes.entry((node, word)).or_insert(next);
        }
        let at = u32::try_from(self.phrases.len()).map_err(|_| "paraphrases: too many")?;
        self.phrases.push(0);
        for word in paraphrase.split_whitespace() {
            let word = self.word(word)?;
            self.phrases.push(word);
        }
        let words = self.phrases.len() - at as usize - 1;
        if node == 0 || words == 0 {
            return Err(format!(
                "paraphrases: line without words near {phrase:?}, {paraphrase:?}"
            ));
        }
        self.phrases[at as usize] = u16::try_from(words).map_err(|_| "paraphrase: too long")?;
        self.lines.push((node, at));
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<u16, String> {
        if let Some(&number) = self.words.get(word) {
            return Ok(number);
        }
        let number = u16::try_from(self.words.len());
        let number = number.map_err(|_| "paraphrases: more than 65,536 words")?;
        self.words.insert(word.to_owned(), number);
        Ok(number)
    }

    /// Renumbers words alphabetically and nodes so that siblings are adjacent, and writes
    /// the sections.
    fn put(mut self, sections: &mut Sections) {
        let vocabulary: BTreeMap<&str, u16> =
            self.words.iter().map(|(w, &n)| (w.as_str(), n)).collect();
        let mut rank = vec![0; vocabulary.len()];
        for (new, &old) in vocabulary.values().enumerate() {
            rank[usize::from(old)] = new as u16;
        }
        put_strings(sections, Section::VocabularyStarts, vocabulary.keys());

        let mut children = vec![Vec::new(); self.nodes.len() + 1];
        for (&(parent, word), &node) in &self.nodes {
            children[parent as usize].push((rank[usize::from(word)], node));
        }
        self.lines.sort_by_key(|&(node, _)| node); // stable: the order of the table

        // breadth first: the children of a node get the next numbers
        let mut queue = vec![(0, 0)];
        let mut next = 0;
        while let Some(&(word, node)) = queue.get(next) {
            next += 1;
            put16(sections, Section::NodeWords, word);
            put32(sections, Section::NodeChildren, queue.len());
            children[node as usize].sort_unstable();
            queue.append(&mut children[node as usize]);

            let written = sections[Section::Phrases as usize].len() / 2;
            put32(sections, Section::PhraseStarts, written);
            let first = self.lines.partition_point(|&(n, _)| n < node);
            for &(_, at) in self.lines[first..].iter().take_while(|l| l.0 == node) {
                let phrase = &self.phrases[at as usize..];
                put16(sections, Section::Phrases, phrase[0]);
                for &word in &phrase[1..][..usize::from(phrase[0])] {
                    put16(sections, Section::Phrases, rank[usize::from(word)]);
                }
            }
        }
        put32(sections, Section::NodeChildren, queue.len());
        let written = sections[Section::Phrases as usize].len() / 2;
        put32(sections, Section::PhraseStarts, written);
    }
}

fn put16(sections: &mut Sections, section: Section, number: u16) {
    sections[section as usize].extend(number.to_le_bytes());
}

/// Appends an offset within a section; sections are far smaller than 4 GB.
fn put32(sections: &mut Sections, section: Section, number: usize) {
    sections[section as usize].extend((number as u32).to_le_bytes());
}

/// Writes ascending strings: their starts into one section, their text into the next.
fn put_strings<T: AsRef<str>>(
    sections: &mut Sections,
    starts: Section,
    strings: impl IntoIterator<Item = T>,
) {
    let text = starts as usize + 1;
    put32(sections, starts, 0);
    for string in strings {
        sections[text].extend(string.as_ref().as_bytes());
        put32(sections, starts, sections[text].len());
    }
}

/// Writes the names into two sections, the starts of their sets and the sets into two
/// more.
fn put_sets(sections: &mut Sections, names: Section, starts: Section, sets: &SetsByName) {
    put_strings(sections, names, sets.keys());
    let items = starts as usize + 1;
    put32(sections, starts, 0);
    for set in sets.values() {
        for item in set {
            sections[items].extend(item.to_le_bytes());
        }
        put32(sections, starts, sections[items].len() / 4);
    }
}
