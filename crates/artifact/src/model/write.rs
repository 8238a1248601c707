//! Writes checkpoints: each is replaced whole or not at all.
//!
//! A new checkpoint is written to `NAME.new` beside the old one, which is called `NAME.old`
//! for a moment. [`recover`] repairs what a process left that died in that moment.

use super::card::ModelCard;
use super::files::{CARD, CHECKPOINTS, WORDS};
use super::seal::seal;
use attend_program::{At, Result, fault};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Writes a checkpoint to `folder`, replacing an old one: the card, a copy of the file
/// `vocabulary`, and the files that `put` writes to the folder that it gets, at least
/// those of decoder and encoder. The card's `encoder_blake3`, unless it is empty, is taken as
/// the digest of the encoder's file without reading it.
///
/// # Errors
/// [`attend_program::Error::Internal`] if writing fails, or the error of `put`; then the old
/// checkpoint stays.
pub fn write(
    folder: &Path,
    card: &ModelCard,
    vocabulary: &Path,
    put: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let new = folder.with_extension("new");
    remove(&new)?;
    std::fs::create_dir_all(&new).at(&new)?;
    let path = new.join(CARD);
    let json = serde_json::to_string(card).at(&path)?;
    std::fs::write(&path, json).at(&path)?;
    let words = new.join(WORDS);
    std::fs::copy(vocabulary, &words).at(&words)?;
    put(&new)?;
    let mut known = BTreeMap::new();
    if let Some(file) = card
        .encoder
        .file()
        .filter(|_| !card.encoder_blake3.is_empty())
    {
        known.insert(file.to_owned(), card.encoder_blake3.clone());
    }
    seal(&new, &known)?;
    for path in entries(&new)?.iter().chain([&new]) {
        fault::point();
        File::open(path).and_then(|file| file.sync_all()).at(path)?;
    }
    swap(folder)
}

/// Replaces `folder` by `FOLDER.new`.
///
/// # Errors
/// [`attend_program::Error::Internal`] of the file system.
pub fn swap(folder: &Path) -> Result<()> {
    let [new, old] = ["new", "old"].map(|end| folder.with_extension(end));
    remove(&old)?;
    fault::point();
    if folder.exists() {
        std::fs::rename(folder, &old).at(folder)?;
    }
    fault::point();
    std::fs::rename(&new, folder).at(folder)?;
    fault::point();
    remove(&old)
}

/// The name of the checkpoint of a finished epoch, counted from 1.
pub fn epoch_name(epoch: u64) -> String {
    format!("epoch-{epoch:05}")
}

/// The folder of the checkpoint of a finished epoch, counted from 1, of the model in
/// `folder`.
pub fn epoch(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(CHECKPOINTS).join(epoch_name(epoch as u64))
}

/// Restores those checkpoints of the model in `folder` whose process died between the two
/// renames of [`swap`].
///
/// # Errors
/// [`attend_program::Error::Internal`] of the file system.
pub fn recover(folder: &Path) -> Result<()> {
    for old in entries(&folder.join(CHECKPOINTS))? {
        let whole = old.with_extension("");
        if old.extension().is_some_and(|end| end == "old") && !whole.exists() {
            std::fs::rename(&old, &whole).at(&old)?;
        }
    }
    Ok(())
}

/// Removes all checkpoints of the model in `folder` except `best`, `last` and those of the
/// `kept` epochs: a process that died may have left others.
///
/// # Errors
/// [`attend_program::Error::Internal`] of the file system.
pub fn tidy(folder: &Path, kept: &[usize]) -> Result<()> {
    let kept: Vec<PathBuf> = kept.iter().map(|number| epoch(folder, *number)).collect();
    let checkpoints = folder.join(CHECKPOINTS);
    let always = ["best", "last"].map(|name| checkpoints.join(name));
    for path in entries(&checkpoints)? {
        if always.contains(&path) || kept.contains(&path) {
            continue;
        }
        match path.is_dir() {
            true => remove(&path)?,
            false => std::fs::remove_file(&path).at(&path)?,
        }
    }
    Ok(())
}

/// The entries of a folder; none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = folder.read_dir().at(folder)?;
    entries.map(|entry| Ok(entry.at(folder)?.path())).collect()
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at(folder),
        _ => Ok(()),
    }
}
