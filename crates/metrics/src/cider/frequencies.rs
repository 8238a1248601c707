//! Document frequencies of n-grams.

use crate::corpus::{Corpus, ORDERS, Words};
use crate::ngrams::Gram;
use crate::parallel::{cores, in_parts};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::io::{self, BufRead, Write};

/// First line of a saved table.
const HEADER: &str = "document frequencies of n-grams, images: ";

/// N-gram -> number of images.
pub(super) type DocumentCounts<G> = HashMap<G, u32, FixedState>;

impl Corpus {
    /// For each n-gram, the number of images whose references contain it. Holds only
    /// numbers above 1, because 0 and 1 weigh the same.
    pub(super) fn documents<G: Gram>(&self, bits: u32) -> DocumentCounts<G> {
        let threads = cores().min(ORDERS);
        let parts = in_parts(ORDERS, threads, |orders| {
            let of_order = |k| self.documents_of_order::<G>(k + 1, bits);
            orders.map(of_order).collect::<Vec<_>>()
        });
        let parts: Vec<Vec<(G, u32)>> = parts.into_iter().flatten().collect();
        let grams = parts.iter().map(Vec::len).sum();
        let mut counts = DocumentCounts::with_capacity_and_hasher(grams, FixedState::default());
        parts.into_iter().for_each(|part| counts.extend(part));
        counts
    }

    fn documents_of_order<G: Gram>(&self, n: usize, bits: u32) -> Vec<(G, u32)> {
        let mut room = Vec::new();
        let mut of_image = Vec::new();
        let mut all = Vec::with_capacity(self.references.ids.len());
        for image in 0..self.images() {
            of_image.clear();
            for reference in self.references(image) {
                let words = self.split(reference, &mut room);
                of_image.extend(words.windows(n).map(|gram| G::pack(gram, bits)));
            }
            of_image.sort_unstable();
            of_image.dedup();
            all.extend_from_slice(&of_image);
        }
        all.sort_unstable();
        let runs = all.chunk_by(|a, b| a == b).filter(|run| run.len() > 1);
        runs.map(|run| (run[0], run.len() as u32)).collect()
    }
}

/// For each n-gram, n = 1 to 4, the number of images whose references contain it.
///
/// The saved table is readable text: a line with the number of images, then
/// `count TAB words` for each n-gram. It leaves out n-grams of a single image, because
/// they weigh the same as those of none.
///
/// ```
/// use attend_metrics::cider::DocumentFrequencies;
/// let train = [vec![vec!["a", "cat"]], vec![vec!["a", "dog"], vec!["the", "dog"]]];
/// let table = DocumentFrequencies::new(&train);
/// let mut file = Vec::new();
/// table.write(&mut file)?;
/// let text = String::from_utf8_lossy(&file);
/// assert_eq!(text, "document frequencies of n-grams, images: 2\n2\ta\n");
/// let same = DocumentFrequencies::read(&file[..])?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DocumentFrequencies {
    pub(super) images: u64,
    pub(super) words: Words,
    pub(super) counts: DocumentCounts<u128>,
}

impl DocumentFrequencies {
    /// Counts the n-grams in the references of some images.
    pub fn new<W: AsRef<str>>(references: &[Vec<Vec<W>>]) -> Self {
        let nothing: Vec<Vec<W>> = references.iter().map(|_| Vec::new()).collect();
        Self::from_corpus(Corpus::of_words(&nothing, references))
    }

    /// Counts the n-grams in the references of a corpus.
    pub fn from_corpus(corpus: Corpus) -> Self {
        DocumentFrequencies {
            images: corpus.images() as u64,
            counts: corpus.documents(u32::BITS),
            words: corpus.words,
        }
    }

    /// Saves the table. The same references always give the same bytes.
    ///
    /// # Errors
    /// If `out` can't be written.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let names = self.words.list();
        let mut lines: Vec<(String, u32)> = self
            .counts
            .iter()
            .map(|(&gram, &count)| {
                let words: Vec<&str> = unpack(gram).map(|id| names[id]).collect();
                (words.join(" "), count)
            })
            .collect();
        lines.sort_unstable();
        writeln!(out, "{HEADER}{}", self.images)?;
        for (gram, count) in lines {
            writeln!(out, "{count}\t{gram}")?;
        }
        out.flush()
    }

    /// Reads a saved table.
    ///
    /// # Errors
    /// If `input` can't be read; [`io::ErrorKind::InvalidData`], with the line, if it is
    /// not such a table.
    pub fn read(input: impl BufRead) -> io::Result<Self> {
        let mut lines = input.lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let images = first.strip_prefix(HEADER).and_then(|n| n.parse().ok());
        let mut table = DocumentFrequencies {
            images: images.ok_or_else(|| bad(1, "not a table of document frequencies"))?,
            words: Words::default(),
            counts: DocumentCounts::default(),
        };
        for (number, line) in (2..).zip(lines) {
            table.enter(&line?).ok_or_else(|| {
                bad(
                    number,
                    "expected `count TAB 1 to 4 words` with a count from 1 to the number of images",
                )
            })?;
        }
        Ok(table)
    }

    fn enter(&mut self, line: &str) -> Option<()> {
        let (count, gram) = line.split_once('\t')?;
        let count: u32 = count.parse().ok()?;
        let ids: Vec<u32> = gram.split(' ').map(|word| self.words.id(word)).collect();
        let word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        let fits = gram.split(' ').all(word)
            && ids.len() <= ORDERS
            && (1..=self.images).contains(&count.into());
        fits.then(|| self.counts.insert(u128::pack(&ids, u32::BITS), count))?;
        Some(())
    }
}

/// The numbers of an n-gram's words.
fn unpack(gram: u128) -> impl Iterator<Item = usize> {
    let ids = (0..ORDERS)
        .rev()
        .map(move |k| (gram >> (32 * k)) as u32 as usize);
    ids.skip_while(|&id| id == 0)
}

fn bad(line: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {what}"))
}
