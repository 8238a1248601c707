//! The journal: one line per finished file of a staging folder, with facts about it that
//! are not content. It stays in the artifact, for runs that make parts of it again.

use crate::manifest::{FileEntry, Manifest};
use attend_program::{At, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The journal of a run that makes everything, and of every artifact.
pub(crate) const JOURNAL: &str = ".journal.jsonl";

/// The fingerprint that two runs must share for one to resume the other; the first line of
/// a journal. It is the same in every schema version.
pub(crate) fn fingerprint(draft: &Manifest) -> String {
    let first = Manifest {
        schema: 1,
        ..draft.clone()
    };
    first.compute_digest()
}

/// A line of the journal: a finished file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(flatten)]
    pub entry: FileEntry,
    /// Hash of the loose files that it was made from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sources: String,
    /// BLAKE3 of its notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Whether it was taken over from the artifact that the run replaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

impl Line {
    /// Whether this is the same file, made from the same sources.
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

/// Like [`entered`], but returns only files that still have the size entered.
pub(crate) fn read(path: &Path) -> Option<(String, Lines, u64)> {
    let folder = path.parent()?;
    let (fingerprint, mut entries, good) = entered(path)?;
    entries.retain(|name, line| {
        let size = std::fs::metadata(folder.join(name)).map(|meta| meta.len());
        size.is_ok_and(|size| size == line.entry.bytes)
    });
    Some((fingerprint, entries, good))
}

/// Reads a journal: the fingerprint of the run, all files entered (whether they still
/// exist or not), and the length in bytes of its complete lines. `None` if the first line
/// is incomplete.
pub(crate) fn entered(path: &Path) -> Option<(String, Lines, u64)> {
    let mut text = Vec::new();
    File::open(path).ok()?.read_to_end(&mut text).ok()?;
    let mut lines = text.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next()?.strip_suffix(b"\n")?;
    let fingerprint = String::from_utf8(first.to_vec()).ok()?;
    let mut good = first.len() + 1;
    let mut entries = Lines::new();
    // A line truncated by a crash is the last one; a damaged line loses its file.
    for line in lines.filter(|line| line.ends_with(b"\n")) {
        good += line.len();
        if let Ok(line) = serde_json::from_slice::<Line>(line) {
            entries.insert(line.entry.name.clone(), line);
        }
    }
    Some((fingerprint, entries, good as u64))
}

/// A journal open for writing.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) lines: Lines,
}

impl Journal {
    /// Opens the journal at `path` after its last complete line, or creates it. With `lock`,
    /// other runs can't open it until this one is dropped.
    pub(super) fn open(path: PathBuf, fingerprint: &str, lock: bool) -> Result<Journal> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at(&path)?;
        // Other errors mean that the file system has no locks; `Lock` has logged that.
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
