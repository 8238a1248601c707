//! The staging folder, and the files that are finished in it.

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

/// Files that outlive an interruption and are no part of the artifact.
pub(super) const SCRATCH: &str = ".scratch";
/// Files that are synced at the same time.
const SYNCED_TOGETHER: usize = 32;

/// An artifact that is being written. All methods may be called from several
/// threads.
pub struct Staging {
    pub(super) folder: PathBuf,
    pub(super) destination: PathBuf,
    pub(super) draft: Manifest,
    pub(super) share: Share,
    /// What is finished by others: tasks, or an interrupted run.
    pub(super) others: Lines,
    pub(super) journal: Mutex<Journal>,
    pub(super) before: Option<PathBuf>,
    /// The files that this run must end with, where it makes a part again.
    pub(super) must_equal: Option<Before>,
    /// Seconds of work before this run.
    pub(super) seconds: Option<u64>,
    pub(super) begun: Instant,
    pub(super) _lock: Lock,
}

/// The staging folder of the artifact at `destination`.
pub fn folder_of(destination: &Path) -> PathBuf {
    sibling(destination, ".staging")
}

impl Staging {
    /// The finished artifact that this run goes on from, made with other parameters; only
    /// after [`crate::Stage::begin_extending`].
    pub fn before(&self) -> Option<&Path> {
        self.before.as_deref()
    }

    /// The staging folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where to write the file `name` (with `/`) anew; its folder is made. What was
    /// there is gone: it may be a link to the old artifact's file, which stays as it is.
    ///
    /// # Errors
    /// [`Error::Internal`] where its folder can't be made, or the disk refuses.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        fresh(self.folder.join(name))
    }

    /// A file that outlives an interruption but is no part of the artifact.
    ///
    /// # Errors
    /// [`Error::Internal`] where its folder can't be made.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        make_parent(self.folder.join(SCRATCH).join(name))
    }

    /// Whether `name` has been finished, by this run, an interrupted one or
    /// another task.
    pub fn is_done(&self, name: &str) -> bool {
        self.others.contains_key(name) || self.journal().lines.contains_key(name)
    }

    /// Enters a written file as finished: syncs it, takes its digest.
    ///
    /// # Errors
    /// [`Error::Internal`] where it can't be read or synced.
    pub fn done(&self, name: &str, rows: Option<u64>) -> Result<()> {
        self.enter(&[(name, rows)])
    }

    /// Enters many small files as finished, with one write to the journal.
    ///
    /// # Errors
    /// As [`Staging::done`]; none is entered then.
    pub fn done_all(&self, names: &[String]) -> Result<()> {
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        self.enter(&files)
    }

    fn enter(&self, files: &[(&str, Option<u64>)]) -> Result<()> {
        let entries = std::thread::scope(|scope| {
            // The disk syncs files together that are asked for together.
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

    /// Writes down how many seconds of work were before this run.
    pub(super) fn write_work(&self) -> Result<()> {
        let work = Work {
            seconds: self.seconds,
            draft: self.draft.clone(),
        };
        work.write(&self.folder)
    }

    /// Lets this run end with these files or not at all.
    pub(crate) fn expect(mut self, before: Option<Before>) -> Staging {
        self.must_equal = before;
        self
    }
}
