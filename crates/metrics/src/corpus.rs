//! Captions as numbers of words, from which all scores are computed.

use crate::parallel::{cores, in_parts};
use crate::tokens::File;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Length of the longest n-grams that are counted.
pub(crate) const ORDERS: usize = 4;

/// One hypothesis and at least one reference for each image.
pub struct Corpus {
    pub(crate) words: Words,
    hypotheses: Captions,
    pub(crate) references: Captions,
    /// The end of each image's references in the list of all references.
    ends: Vec<usize>,
    /// The parts of words that contain white space. For BLEU and CIDEr the tool splits
    /// captions at white space once more, also at the no-break space that its tokeniser
    /// leaves inside `2 1/2`.
    parts: HashMap<u32, Vec<u32>, FixedState>,
}

/// Captions as numbers of words, one after another.
#[derive(Default)]
pub(crate) struct Captions {
    pub(crate) ids: Vec<u32>,
    ends: Vec<usize>,
}

impl Captions {
    fn get(&self, caption: usize) -> &[u32] {
        let begin = caption.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[begin..self.ends[caption]]
    }

    /// Ends captions until there are `captions` of them.
    fn end(&mut self, captions: usize) {
        self.ends.resize(captions, self.ids.len());
    }

    fn append(&mut self, other: &Captions, numbers: &[u32]) {
        let before = self.ids.len();
        self.ids
            .extend(other.ids.iter().map(|&id| numbers[id as usize]));
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }
}

/// The numbers of words, from 1.
#[derive(Clone, Debug, Default)]
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

    /// The words by number; word 0 is empty.
    pub(crate) fn list(&self) -> Vec<&str> {
        let mut list = vec![""; self.len() + 1];
        for (word, id) in &self.0 {
            list[*id as usize] = word;
        }
        list
    }
}

/// Captions as the lines of two files, the form in which the COCO tool passes them to its
/// tokeniser. The captions themselves can be dropped before they are tokenised.
pub struct Lines {
    hypotheses: File,
    references: File,
    /// The number of references of each image.
    counts: Vec<usize>,
}

impl Lines {
    /// Copies the captions: one hypothesis and at least one reference for each image.
    pub fn new<H, R, C>(hypotheses: &[H], references: &[R]) -> Lines
    where
        H: AsRef<str>,
        R: AsRef<[C]>,
        C: AsRef<str>,
    {
        let of_image = references.iter().map(AsRef::as_ref);
        let all: Vec<&str> = of_image.clone().flatten().map(AsRef::as_ref).collect();
        Lines {
            hypotheses: File::new(hypotheses),
            references: File::new(&all),
            counts: of_image.map(<[C]>::len).collect(),
        }
    }

    /// Tokenises the captions like [`crate::tokens::ptb_lines`].
    ///
    /// # Panics
    /// Those of [`Corpus::of_words`].
    pub fn tokenise(self) -> Corpus {
        let mut words = Words::default();
        let [hypotheses, references] = tokenise([self.hypotheses, self.references], &mut words);
        Corpus::new(words, hypotheses, references, self.counts.into_iter())
    }
}

impl Corpus {
    /// A corpus of captions that are lists of words, from a tokeniser of
    /// [`crate::tokens`] or any other. Words are equal if they are equal strings.
    ///
    /// # Panics
    /// If the slices differ in length or an image has no reference, which leaves
    /// nothing to score against. Leave such images out first.
    pub fn of_words<W: AsRef<str>>(hypotheses: &[Vec<W>], references: &[Vec<Vec<W>>]) -> Corpus {
        let mut words = Words::default();
        let mut captions = |list: &mut dyn Iterator<Item = &Vec<W>>| {
            let mut captions = Captions::default();
            for caption in list {
                let ids = caption.iter().map(|word| words.id(word.as_ref()));
                captions.ids.extend(ids);
                captions.end(captions.ends.len() + 1);
            }
            captions
        };
        let hypothesis_ids = captions(&mut hypotheses.iter());
        let reference_ids = captions(&mut references.iter().flatten());
        Corpus::new(
            words,
            hypothesis_ids,
            reference_ids,
            references.iter().map(Vec::len),
        )
    }

    /// A corpus of captions as text, tokenised by [`crate::tokens::ptb_lines`].
    ///
    /// # Panics
    /// Those of [`Corpus::of_words`].
    pub fn of_captions<H, R, C>(hypotheses: &[H], references: &[R]) -> Corpus
    where
        H: AsRef<str>,
        R: AsRef<[C]>,
        C: AsRef<str>,
    {
        Lines::new(hypotheses, references).tokenise()
    }

    fn new(
        mut words: Words,
        hypotheses: Captions,
        references: Captions,
        of_image: impl ExactSizeIterator<Item = usize>,
    ) -> Corpus {
        assert_eq!(
            hypotheses.ends.len(),
            of_image.len(),
            "hypotheses and references are lists over the same images"
        );
        let mut ends = Vec::with_capacity(of_image.len());
        let mut end = 0;
        for (image, count) in of_image.enumerate() {
            assert!(count > 0, "image {image} has no reference");
            end += count;
            ends.push(end);
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
            ends,
            parts,
        }
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn hypothesis(&self, image: usize) -> &[u32] {
        self.hypotheses.get(image)
    }

    pub(crate) fn references(&self, image: usize) -> impl ExactSizeIterator<Item = &[u32]> {
        let begin = image.checked_sub(1).map_or(0, |before| self.ends[before]);
        (begin..self.ends[image]).map(|caption| self.references.get(caption))
    }

    /// The hypotheses and the references as words.
    pub fn captions(&self) -> (Vec<Vec<&str>>, Vec<Vec<Vec<&str>>>) {
        let words = self.words.list();
        let to_words = |ids: &[u32]| ids.iter().map(|&id| words[id as usize]).collect();
        let images = 0..self.images();
        let hypotheses = images.clone().map(|image| to_words(self.hypothesis(image)));
        let references = images.map(|image| self.references(image).map(to_words).collect());
        (hypotheses.collect(), references.collect())
    }

    /// The caption, split at every white space. `room` is a buffer for the result.
    pub(crate) fn split<'a>(&'a self, caption: &'a [u32], room: &'a mut Vec<u32>) -> &'a [u32] {
        if self.parts.is_empty() || !caption.iter().any(|id| self.parts.contains_key(id)) {
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

/// Tokenises two files into numbers of words. Each core takes a part of both, so that
/// its automaton's cache is warm for the second.
fn tokenise(files: [File; 2], words: &mut Words) -> [Captions; 2] {
    let mut parts = on_threads(&files, cores());
    if parts.iter().any(|(_, _, whole)| !whole) {
        parts = on_threads(&files, 1);
    }
    let mut all = [0, 1].map(|file| {
        let ids = |(_, files, _): &(Words, [Captions; 2], bool)| files[file].ids.len();
        Captions {
            ids: Vec::with_capacity(parts.iter().map(ids).sum()),
            ends: Vec::with_capacity(files[file].captions()),
        }
    });
    for (own, parts, _) in parts {
        let numbers = own.list().into_iter().skip(1).map(|word| words.id(word));
        let numbers: Vec<u32> = std::iter::once(0).chain(numbers).collect();
        for (all, part) in all.iter_mut().zip(&parts) {
            all.append(part, &numbers);
        }
    }
    all
}

/// The result of each thread: its own numbering of words, its part of each file in these
/// numbers, and whether both parts end where a caption ends.
fn on_threads(files: &[File; 2], threads: usize) -> Vec<(Words, [Captions; 2], bool)> {
    in_parts(threads, threads, |thread| {
        let mut words = Words::default();
        let mut whole = true;
        let parts = files.each_ref().map(|file| {
            let captions = file.captions();
            let range = thread.start * captions / threads..thread.end * captions / threads;
            let (first, last) = (range.start, range.end);
            let mut part = Captions::default();
            let clean = file.words(range, |caption, word| {
                part.end(caption - first);
                part.ids.push(words.id(word));
            });
            part.end(last - first);
            whole &= clean || last == captions;
            part
        });
        (words, parts, whole)
    })
}
