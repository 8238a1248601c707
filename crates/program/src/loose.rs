//! The loose files that a program has looked at: photographs, annotations, weights. They
//! belong to no artifact, so nothing but their sizes and times tells quickly whether they
//! have changed.
//!
//! A stage leaves the list in its artifact, [`FILE`], and the runner compares the list with
//! the disk: if nothing differs, it need not start the stage to learn that there is nothing
//! to do. A folder's time changes when a name appears or disappears in it.

use crate::{Result, error::At, whole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// The list in an artifact: JSON Lines `[path, size, time]`. `size` is in bytes, `"folder"`
/// or, if nothing is there, `null`; `time` is that of the last change, in nanoseconds.
/// Like the journal, it is not content.
pub const FILE: &str = ".sources";

/// What was at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A file: its size in bytes, and its time in nanoseconds.
    File(u64, i64),
    /// A folder, and its time.
    Folder(i64),
    /// Nothing that can be read.
    Nothing,
}

static LOOKED: Mutex<BTreeMap<PathBuf, State>> = Mutex::new(BTreeMap::new());

fn looked() -> MutexGuard<'static, BTreeMap<PathBuf, State>> {
    LOOKED.lock().unwrap_or_else(|e| e.into_inner())
}

impl State {
    /// What is at `path`; a link is followed.
    pub fn at(path: &Path) -> State {
        State::of(path.metadata().ok().as_ref())
    }

    fn of(meta: Option<&Metadata>) -> State {
        let time = |meta: &Metadata| meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
        match meta {
            Some(meta) if meta.is_dir() => State::Folder(time(meta)),
            Some(meta) => State::File(meta.len(), time(meta)),
            None => State::Nothing,
        }
    }
}

/// Notes a file or folder, before it is read.
pub fn note(path: &Path) {
    note_meta(path, path.metadata().ok().as_ref());
}

/// Like [`note`], for a file whose metadata is known; `None` if there is no file.
pub fn note_meta(path: &Path, meta: Option<&Metadata>) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    looked().entry(path).or_insert(State::of(meta));
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Size {
    Bytes(u64),
    Word(String),
}

type Line = (PathBuf, Option<Size>, Option<i64>);

/// Writes [`FILE`] in `folder`: what has been noted, except what is below one of `inside`.
///
/// # Errors
/// [`crate::Error::Internal`] if the file can't be written.
pub fn write(folder: &Path, inside: &[PathBuf]) -> Result<()> {
    let inside = |path: &Path| inside.iter().any(|folder| path.starts_with(folder));
    let path = folder.join(FILE);
    whole::write(&path, |file| {
        let mut file = BufWriter::new(file);
        for (name, state) in looked().iter().filter(|(name, _)| !inside(name)) {
            let line: Line = match *state {
                State::File(bytes, time) => (name.clone(), Some(Size::Bytes(bytes)), Some(time)),
                State::Folder(time) => {
                    (name.clone(), Some(Size::Word("folder".into())), Some(time))
                }
                State::Nothing => (name.clone(), None, None),
            };
            serde_json::to_writer(&mut file, &line)
                .map_err(std::io::Error::from)
                .at(&path)?;
            file.write_all(b"\n").at(&path)?;
        }
        file.flush().at(&path)
    })
}

/// Reads [`FILE`] of an artifact; `None` if it has none or it is damaged.
pub fn read(folder: &Path) -> Option<Vec<(PathBuf, State)>> {
    let file = std::fs::File::open(folder.join(FILE)).ok()?;
    let mut all = Vec::new();
    for line in BufReader::with_capacity(1 << 20, file).lines() {
        let (path, size, time): Line = serde_json::from_str(&line.ok()?).ok()?;
        let state = match (size, time) {
            (Some(Size::Bytes(bytes)), Some(time)) => State::File(bytes, time),
            (Some(Size::Word(_)), Some(time)) => State::Folder(time),
            _ => State::Nothing,
        };
        all.push((path, state));
    }
    Some(all)
}

/// The paths of a list whose state on the disk is another one now. Looks with several
/// threads, because a data set has a hundred thousand photographs.
pub fn changed(list: &[(PathBuf, State)]) -> Vec<&Path> {
    let share = list.len().div_ceil(8).max(512);
    std::thread::scope(|scope| {
        let parts: Vec<_> = list
            .chunks(share)
            .map(|part| {
                let differs = |(path, state): &&(PathBuf, State)| State::at(path) != *state;
                scope.spawn(move || part.iter().filter(differs).collect::<Vec<_>>())
            })
            .collect();
        let found = parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_default());
        found.map(|(path, _)| path.as_path()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_removed_and_a_new_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["same", "longer", "gone"] {
            std::fs::write(path(name), "text").unwrap();
        }
        std::fs::create_dir(path("artifact")).unwrap();
        std::fs::create_dir(path("input")).unwrap();
        for name in ["same", "longer", "gone", "new", "input", "input/x"] {
            note(&path(name));
        }
        write(&path("artifact"), &[path("input")]).unwrap();
        let list = read(&path("artifact")).unwrap();
        assert_eq!(list.len(), 4 + looked().len() - 6);
        let mine: Vec<_> = list
            .into_iter()
            .filter(|(name, _)| name.starts_with(folder.path()))
            .collect();
        assert_eq!(changed(&mine), Vec::<&Path>::new());
        std::fs::write(path("longer"), "longer text").unwrap();
        std::fs::remove_file(path("gone")).unwrap();
        std::fs::write(path("new"), "").unwrap();
        let names: Vec<_> = ["gone", "longer", "new"].map(path).into();
        assert_eq!(changed(&mine), names);
    }
}
