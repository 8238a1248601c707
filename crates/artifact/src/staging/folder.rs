//! The staging folder, and its finished files.

use super::disk::{fresh, make_parent, sibling};
use super::journal::{Journal, Line, Lines};
use super::lock::Lock;
use super::piece::Share;
use super::work::Work;
use crate::digest::digest_file;
use crate::manifest::{FileEntry, Manifest};
use crate::old::Before;
use attend_program::{At, Error, Result, fault};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// Folder of files that survive an interruption but don't belong to the artifact.
pub(super) const SCRATCH: &str = ".scratch";
/// Number of files that are synced at the same time.
const SYNCED_TOGETHER: usize = 32;

/// An artifact that is being written. All methods may be called from several
/// threads.
pub struct Staging {
    pub(super) folder: PathBuf,
    pub(super) destination: PathBuf,
    pub(super) draft: Manifest,
    pub(super) share: Share,
    /// Files finished by others: tasks, or an interrupted run.
    pub(super) others: Lines,
    pub(super) journal: Mutex<Journal>,
    pub(super) before: Option<PathBuf>,
    /// The contents that this run must reproduce, if it makes part of an artifact again.
    pub(super) must_equal: Option<Before>,
    /// Seconds of work before this run.
    pub(super) seconds: Option<u64>,
    pub(super) begun: Instant,
    /// Notes about no single piece.
    pub(super) kept: Vec<PathBuf>,
    /// The inputs' folders, in which no file is loose.
    pub(crate) inside: Vec<PathBuf>,
    pub(super) _lock: Lock,
}

/// The staging folder of the artifact at `destination`.
pub fn folder_of(destination: &Path) -> PathBuf {
    sibling(destination, ".staging")
}

impl Staging {
    /// The finished artifact, made with other parameters, that this run continues from; only
    /// after [`crate::Stage::begin_extending`].
    pub fn before(&self) -> Option<&Path> {
        self.before.as_deref()
    }

    /// The staging folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path at which to write the file `name` (with `/`). Makes its folder, and removes
    /// an old file: it may be a link to the old artifact's file, which must not change.
    ///
    /// # Errors
    /// [`Error::Internal`] if the folder can't be made or the file can't be removed.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        fresh(self.folder.join(name))
    }

    /// The path of a file that survives an interruption but doesn't belong to the artifact.
    ///
    /// # Errors
    /// [`Error::Internal`] if its folder can't be made.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        make_parent(self.folder.join(SCRATCH).join(name))
    }

    /// Whether `name` has been finished, by this run, an interrupted one or
    /// another task.
    pub fn is_done(&self, name: &str) -> bool {
        self.others.contains_key(name) || self.journal().lines.contains_key(name)
    }

    /// Enters a written file as finished: syncs it and computes its digest.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be read or synced.
    pub fn done(&self, name: &str, rows: Option<u64>) -> Result<()> {
        self.enter(&[(name, rows)])
    }

    /// Enters many small files as finished, with one write to the journal.
    ///
    /// # Errors
    /// Those of [`Staging::done`]; then none is entered.
    pub fn done_all(&self, names: &[String]) -> Result<()> {
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        self.enter(&files)
    }

    fn enter(&self, files: &[(&str, Option<u64>)]) -> Result<()> {
        let entries = std::thread::scope(|scope| {
            // The disk merges concurrent syncs.
            let share = files.len().div_ceil(SYNCED_TOGETHER).max(1);
            let threads: Vec<_> = files
                .chunks(share)
                .map(|files| {
                    scope.spawn(|| {
                        files
                            .iter()
                            .map(|file| self.entry(*file))
                            .collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            let entered = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("syncing a file failed")))
            });
            entered.collect::<Result<Vec<_>>>()
        })?;
        let line = |entry| Line {
            entry,
            sources: String::new(),
            notes: None,
            adopted: false,
        };
        self.journal()
            .enter(entries.into_iter().flatten().map(line).collect())
    }

    pub(super) fn entry(&self, (name, rows): (&str, Option<u64>)) -> Result<FileEntry> {
        let path = self.folder.join(name);
        let file = File::open(&path).at(&path)?;
        fault::point();
        file.sync_all().at(&path)?;
        let bytes = file.metadata().at(&path)?.len();
        Ok(FileEntry {
            name: name.to_owned(),
            bytes,
            rows,
            blake3: digest_file(&path)?,
        })
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn line(&self, name: &str) -> Option<Line> {
        let own = self.journal().lines.get(name).cloned();
        own.or_else(|| self.others.get(name).cloned())
    }

    /// Records how many seconds of work there were before this run.
    pub(super) fn write_work(&self) -> Result<()> {
        let work = Work {
            seconds: self.seconds,
            draft: self.draft.clone(),
        };
        work.write(&self.folder)
    }

    /// Requires that this run ends with these contents.
    pub(crate) fn expect(mut self, before: Option<Before>) -> Staging {
        self.must_equal = before;
        self
    }
}
