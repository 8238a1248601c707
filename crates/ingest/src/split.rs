//! Splits by content, for data sets that have none: a photograph's split is a function of
//! the seed and of its file's bytes.

use crate::annotations::ListedImage;
use crate::pipeline;
use crate::select::Candidate;
use crate::shares::{REST, SplitByContent};
use crate::source::Source;
use attend_artifact::tables::split_order;
use attend_program::{Error, Result, check_interrupt, progress};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The note in the artifact with the hashes of photographs.
pub const HASHES: &str = "photographs";

impl SplitByContent {
    /// Refuses data that has splits, unless they shall be replaced.
    ///
    /// # Errors
    /// [`Error::Usage`] naming them.
    pub fn check_against(&self, images: &[ListedImage]) -> Result<()> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for split in images.iter().filter_map(|image| image.split.as_deref()) {
            *counts.entry(split).or_default() += 1;
        }
        if counts.is_empty() || self.replace {
            return Ok(());
        }
        let some = counts
            .iter()
            .take(8)
            .map(|(name, count)| format!("{name} {count}"));
        let some = some.collect::<Vec<_>>().join(", ");
        let more = if counts.len() > 8 { ", …" } else { "" };
        Err(Error::usage(format!(
            "dataset.split: the data has splits already ({some}{more}); leave dataset.split out to use them, or replace them with dataset.split = {{ replace = true, … }}"
        )))
    }

    /// Gives the candidates their splits, and sorts them by these. Photographs whose hashes
    /// are not known are read. One that can't be read gets a split by its name; it is
    /// rejected later.
    ///
    /// # Errors
    /// [`Error::Input`] if a split gets no photograph; [`Error::Interrupted`].
    pub fn assign(
        &self,
        candidates: &mut [Candidate],
        source: &Source,
        hashes: &mut Hashes,
        jobs: usize,
    ) -> Result<()> {
        let keys: Vec<Hash> = candidates.iter().map(|image| key(image, source)).collect();
        let unknown: Vec<usize> = (0..keys.len())
            .filter(|index| !hashes.known.contains_key(&keys[*index]))
            .collect();
        let progress = progress("hash", "images", keys.len() as u64);
        progress.skip((keys.len() - unknown.len()) as u64);
        let images: &[Candidate] = candidates;
        let read = |index: usize| {
            let image = &images[index];
            let bytes = source.read(&image.photograph);
            let hash =
                bytes.map_or_else(|_| hash(image.file_name.as_bytes()), |bytes| hash(&bytes));
            (keys[index], hash)
        };
        let read = pipeline::ordered(jobs, unknown.into_iter(), read, |read| {
            read.inspect(|_| progress.inc(1))
                .map(|read| check_interrupt().and(read))
                .collect::<Result<Vec<_>>>()
        });
        progress.finish();
        let mut known = std::mem::take(&mut hashes.known);
        known.extend(read?);
        let mut counts: BTreeMap<&str, usize> = self.names().map(|name| (name, 0)).collect();
        for (image, key) in candidates.iter_mut().zip(keys) {
            // What is no longer in the data is forgotten.
            let Some(hash) = known.get(&key) else {
                continue;
            };
            hashes.known.insert(key, *hash);
            let name = self.place(hash);
            name.clone_into(&mut image.split);
            *counts.entry(name).or_default() += 1;
        }
        candidates.sort_by(|a, b| split_order(&a.split).cmp(&split_order(&b.split)));
        let mut said: Vec<_> = counts.into_iter().collect();
        said.sort_by_key(|(name, _)| split_order(name));
        if let Some((name, _)) = said.iter().find(|(_, count)| *count == 0) {
            return Err(Error::input(format!(
                "dataset.split: none of {} photographs is in {name} by its content; give {name} a larger share, or take another seed",
                candidates.len()
            )));
        }
        let said = said.iter().map(|(name, count)| format!("{name} {count}"));
        let said = said.collect::<Vec<_>>().join(", ");
        tracing::info!("split by content: {said}");
        Ok(())
    }

    /// The split of a photograph with this hash: the shares lie one after the other on the
    /// numbers from 0 to 1, and a hash with the seed is such a number.
    fn place(&self, content: &Hash) -> &str {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(content);
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        // The upper 53 bits are a float between 0 and 1.
        let number = (u64::from_le_bytes(first) >> 11) as f64 / (1u64 << 53) as f64;
        let mut end = 0.0;
        let others = self.shares.iter().filter(|(name, _)| *name != REST);
        for (name, share) in others {
            end += share;
            if number < end {
                return name;
            }
        }
        match self.names().any(|name| name == REST) {
            true => REST,
            // The shares add up to 1 but for rounding.
            false => self.shares.keys().next_back().map_or(REST, String::as_str),
        }
    }
}

/// The first half of a BLAKE3.
type Hash = [u8; 16];

fn hash(bytes: &[u8]) -> Hash {
    let mut half = Hash::default();
    let all = blake3::hash(bytes);
    half.copy_from_slice(&all.as_bytes()[..16]);
    half
}

/// A photograph's key among the known hashes: it changes with its name, size and time.
fn key(image: &Candidate, source: &Source) -> Hash {
    let mut key = image.file_name.clone().into_bytes();
    for number in source.state(&image.photograph) {
        key.extend(number.to_le_bytes());
    }
    hash(&key)
}

/// Fails if no image has a split, and says how to make them.
///
/// # Errors
/// [`Error::Input`].
pub fn some_has_one(images: &[ListedImage], root: &Path) -> Result<()> {
    if images.is_empty() || images.iter().any(|image| image.split.is_some()) {
        return Ok(());
    }
    let root = root.display();
    Err(Error::input(format!(
        "{root}: nothing says which split a photograph is in; dataset.split = {{ val = 0.05, test = 0.05 }} splits them by content"
    )))
}

/// Hashes of photographs that were read before. The note has 32 bytes for each, its key and
/// its hash, and ends with a hash of itself.
pub struct Hashes {
    known: HashMap<Hash, Hash>,
}

impl Hashes {
    /// Reads the note; an absent or damaged one is empty.
    pub fn read(note: Option<Vec<u8>>) -> Hashes {
        let note = note.unwrap_or_default();
        let content = note.split_last_chunk::<16>();
        let content = content.filter(|(content, end)| hash(content) == **end);
        let (pairs, _) = content
            .map_or(&[][..], |(content, _)| content)
            .as_chunks::<32>();
        let pair = |pair: &[u8; 32]| {
            let (key, hash) = pair.split_at(16);
            Some((key.try_into().ok()?, hash.try_into().ok()?))
        };
        Hashes {
            known: pairs.iter().filter_map(pair).collect(),
        }
    }

    /// The note.
    pub fn bytes(&self) -> Vec<u8> {
        let mut pairs: Vec<_> = self.known.iter().collect();
        pairs.sort_unstable();
        let mut note: Vec<u8> = pairs
            .into_iter()
            .flat_map(|(key, hash)| [*key, *hash])
            .flatten()
            .collect();
        let end = hash(&note);
        note.extend(end);
        note
    }
}
