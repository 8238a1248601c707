//! What is finished in a staging folder, a line per file, and what is known of
//! it that is no content: it stays in the artifact, for runs that make a part
//! of it again.

use crate::manifest::{FileEntry, Manifest};
use attend_program::{At, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The journal of a run that makes everything, and of every artifact.
pub(crate) const JOURNAL: &str = ".journal.jsonl";

/// What a run must have in common with another to go on from it: a journal's first line.
pub(crate) fn fingerprint(draft: &Manifest) -> String {
    draft.compute_digest()
}

/// A finished file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(flatten)]
    pub entry: FileEntry,
    /// Hash over the loose files that it was made from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sources: String,
    /// BLAKE3 of its notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Whether it was taken over from the artifact that is to be replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

impl Line {
    /// Whether this is the same file, of the same sources.
    pub(super) fn is_same(&self, other: &Line) -> bool {
        (&self.entry, &self.sources) == (&other.entry, &other.sources)
    }
}

/// Finished files by name.
pub(crate) type Lines = BTreeMap<String, Line>;

/// The journal of the task `index` of `count`.
pub(super) fn of_task(index: usize, count: usize) -> String {
    format!(".journal-{index}-of-{count}.jsonl")
}

/// All journals in a folder: the whole run's and the tasks'.
pub(super) fn all(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| is_journal(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

pub(super) fn is_journal(name: &str) -> bool {
    name.starts_with(".journal") && name.ends_with(".jsonl")
}

/// What a journal says of files whose size is still the one entered, as [`entered`].
pub(crate) fn read(path: &Path) -> Option<(String, Lines, u64)> {
    let folder = path.parent()?;
    let (fingerprint, mut entries, good) = entered(path)?;
    entries.retain(|name, line| {
        let size = std::fs::metadata(folder.join(name)).map(|meta| meta.len());
        size.is_ok_and(|size| size == line.entry.bytes)
    });
    Some((fingerprint, entries, good))
}

/// What a journal says: the fingerprint of the run, the files, whether they are still
/// there or not, and how much of it is whole.
pub(crate) fn entered(path: &Path) -> Option<(String, Lines, u64)> {
    let mut text = Vec::new();
    File::open(path).ok()?.read_to_end(&mut text).ok()?;
    let mut lines = text.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next()?.strip_suffix(b"\n")?;
    let fingerprint = String::from_utf8(first.to_vec()).ok()?;
    let mut good = first.len() + 1;
    let mut entries = Lines::new();
    // A line that a crash has cut is the last; one that is damaged loses its file.
    for line in lines.filter(|line| line.ends_with(b"\n")) {
        good += line.len();
        if let Ok(line) = serde_json::from_slice::<Line>(line) {
            entries.insert(line.entry.name.clone(), line);
        }
    }
    Some((fingerprint, entries, good as u64))
}

/// A journal that grows.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) lines: Lines,
}

impl Journal {
    /// Opens the journal at `path` behind its last whole line, or begins it.
    /// `lock` keeps others from the same journal until this one is dropped.
    pub(super) fn open(path: PathBuf, fingerprint: &str, lock: bool) -> Result<Journal> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at(&path)?;
        // A disk that knows no locks (then `Lock` has said so) gives none here either.
        if lock && matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            tracing::info!("another run writes {}; waiting for it", path.display());
            file.lock().at(&path)?;
        }
        let known = read(&path).filter(|(first, ..)| first == fingerprint);
        let (lines, good) = known.map_or((Lines::new(), 0), |(_, lines, good)| (lines, good));
        file.set_len(good).at(&path)?;
        file.seek(std::io::SeekFrom::End(0)).at(&path)?;
        let mut journal = Journal { path, file, lines };
        if good == 0 {
            journal.write(&format!("{fingerprint}\n"))?;
        }
        Ok(journal)
    }

    /// Enters finished files.
    pub(super) fn enter(&mut self, lines: Vec<Line>) -> Result<()> {
        let mut text = String::new();
        for line in &lines {
            text += &serde_json::to_string(line).map_err(Error::internal)?;
            text.push('\n');
        }
        self.write(&text)?;
        let named = lines
            .into_iter()
            .map(|line| (line.entry.name.clone(), line));
        self.lines.extend(named);
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes());
        written.and_then(|()| self.file.sync_data()).at(&self.path)
    }
}
