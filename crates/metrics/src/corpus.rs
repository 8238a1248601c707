//! Captions as numbers of words, which all scores are computed from.

use crate::tokens::File;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Longest n-gram that is counted.
pub(crate) const ORDERS: usize = 4;

/// One hypothesis and at least one reference for each image.
pub struct Corpus {
    pub(crate) words: Words,
    pub(crate) hypotheses: Vec<Vec<u32>>,
    pub(crate) references: Vec<Vec<Vec<u32>>>,
    /// What BLEU and CIDEr see of words that hold white space: the tool splits
    /// captions there once more, also at the no-break space that its tokeniser
    /// leaves inside `2 1/2`.
    parts: HashMap<u32, Vec<u32>>,
}

/// Words by their numbers, which begin at 1.
#[derive(Debug, Default)]
pub(crate) struct Words(HashMap<Box<str>, u32, FixedState>);

impl Words {
    pub(crate) fn id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.0.get(word) {
            return *id;
        }
        let id = self.0.len() as u32 + 1; // memory ends long before 2^32 words
        self.0.insert(word.into(), id);
        id
    }

    pub(crate) fn get(&self, word: &str) -> Option<u32> {
        self.0.get(word).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The words in the order of their numbers, after an empty one.
    pub(crate) fn list(&self) -> Vec<&str> {
        let mut list = vec![""; self.len() + 1];
        for (word, id) in &self.0 {
            list[*id as usize] = word;
        }
        list
    }
}

impl Corpus {
    /// Of captions that are lists of words: of a tokeniser of [`crate::tokens`] or
    /// any other. Words count as equal when they are equal strings.
    ///
    /// # Panics
    /// If the slices differ in length, or an image has no reference at all: there
    /// is no score that could be given. Leave such images out first.
    pub fn of_words<W: AsRef<str>>(hypotheses: &[Vec<W>], references: &[Vec<Vec<W>>]) -> Corpus {
        let mut words = Words::default();
        let mut ids = |caption: &Vec<W>| caption.iter().map(|w| words.id(w.as_ref())).collect();
        let hypotheses = hypotheses.iter().map(&mut ids).collect();
        let references = references
            .iter()
            .map(|image| image.iter().map(&mut ids).collect())
            .collect();
        Corpus::new(words, hypotheses, references)
    }

    /// Of captions as they were written, by [`crate::tokens::ptb_lines`].
    ///
    /// # Panics
    /// As [`Corpus::of_words`].
    pub fn of_captions<C: AsRef<str>>(hypotheses: &[C], references: &[Vec<C>]) -> Corpus {
        let all: Vec<&str> = references.iter().flatten().map(AsRef::as_ref).collect();
        let mut words = Words::default();
        let [hypotheses, all] = tokenise([File::new(hypotheses), File::new(&all)], &mut words);
        let mut all = all.into_iter();
        let take = |image: &Vec<C>| all.by_ref().take(image.len()).collect();
        let references = references.iter().map(take).collect();
        Corpus::new(words, hypotheses, references)
    }

    fn new(mut words: Words, hypotheses: Vec<Vec<u32>>, references: Vec<Vec<Vec<u32>>>) -> Corpus {
        assert_eq!(
            hypotheses.len(),
            references.len(),
            "hypotheses and references are lists over the same images"
        );
        for (image, references) in references.iter().enumerate() {
            assert!(!references.is_empty(), "image {image} has no reference");
        }
        let whole = words.list();
        let odd = (0..)
            .zip(&whole)
            .filter(|(_, w)| w.contains(char::is_whitespace));
        let odd: Vec<(u32, String)> = odd.map(|(id, word)| (id, (*word).to_owned())).collect();
        let parts = odd.into_iter().map(|(id, word)| {
            let parts = word.split_whitespace().map(|part| words.id(part));
            (id, parts.collect())
        });
        let parts = parts.collect();
        Corpus {
            words,
            hypotheses,
            references,
            parts,
        }
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.hypotheses.len()
    }

    /// The hypotheses and the references as words.
    pub fn captions(&self) -> (Vec<Vec<&str>>, Vec<Vec<Vec<&str>>>) {
        let words = self.words.list();
        let of = |ids: &Vec<u32>| ids.iter().map(|&id| words[id as usize]).collect();
        let hypotheses = self.hypotheses.iter().map(of).collect();
        let references = self.references.iter();
        let references = references.map(|image| image.iter().map(of).collect());
        (hypotheses, references.collect())
    }

    /// A caption split at every white space.
    pub(crate) fn split<'a>(&'a self, caption: &'a [u32], room: &'a mut Vec<u32>) -> &'a [u32] {
        if self.parts.is_empty() {
            return caption;
        }
        room.clear();
        for id in caption {
            room.extend(
                self.parts
                    .get(id)
                    .map_or(std::slice::from_ref(id), Vec::as_slice),
            );
        }
        room
    }
}

type Ids = Vec<Vec<u32>>;

/// The words of two files as numbers. Each core takes a part of both, so that its
/// automaton is warm for the second.
fn tokenise(files: [File; 2], words: &mut Words) -> [Ids; 2] {
    let mut parts = on_threads(&files, crate::cores());
    if parts.iter().any(|(_, _, whole)| !whole) {
        parts = on_threads(&files, 1);
    }
    let mut all = [Vec::new(), Vec::new()];
    for (own, ids, _) in parts {
        let numbers = own.list().into_iter().skip(1).map(|word| words.id(word));
        let numbers: Vec<u32> = std::iter::once(0).chain(numbers).collect();
        for (all, mut ids) in all.iter_mut().zip(ids) {
            for id in ids.iter_mut().flatten() {
                *id = numbers[*id as usize];
            }
            all.append(&mut ids);
        }
    }
    all
}

/// What each thread has read: its words, and of each file its part, in their own
/// numbers; and whether these parts end where captions end.
fn on_threads(files: &[File; 2], threads: usize) -> Vec<(Words, [Ids; 2], bool)> {
    crate::in_parts(threads, threads, |thread| {
        let mut words = Words::default();
        let mut whole = true;
        let ids = files.each_ref().map(|file| {
            let captions = file.captions();
            let range = thread.start * captions / threads..thread.end * captions / threads;
            let mut ids: Ids = vec![Vec::new(); range.len()];
            let (first, last) = (range.start, range.end);
            let clean = file.words(range, |caption, word| {
                ids[caption - first].push(words.id(word))
            });
            whole &= clean || last == captions;
            ids.iter_mut().for_each(Vec::shrink_to_fit);
            ids
        });
        (words, ids, whole)
    })
}
