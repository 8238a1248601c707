//! The folder in which an artifact grows until it is committed.
//!
//! `NAME.staging` stands beside the destination `NAME`. Every finished file is
//! synced and entered in a journal; a run that is killed at any moment leaves
//! the old artifact or none at the destination, and a staging folder from which
//! the next run of the same fingerprint (producer, parameters, inputs) goes on.
//!
//! An artifact of many shards is made in [`Piece`]s. Pieces of an older artifact
//! of the same origin are taken over as they are; several runs, on several
//! machines, may each make their [`Share`] of them.

mod commit;
mod disk;
pub(crate) mod journal;
mod open;
pub(crate) mod place;
mod work;

pub use place::apart;
pub(crate) use work::{Rules, Work};

use crate::manifest::{FileEntry, Manifest};
use crate::old::{Before, Old};
use crate::shard::WrittenShard;
use crate::{At, Error, Result, digest_file};
use disk::{fresh, link, make_parent, sibling, write_synced};
use journal::{JOURNAL, Journal, Line, Lines};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

const SCRATCH: &str = ".scratch";
const NOTES: &str = ".notes";
/// Files that are synced at the same time.
const SYNCED_TOGETHER: usize = 32;

/// A file of the artifact that can be made without the others: a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Name of the file in the artifact, with `/`.
    pub name: String,
    /// Hash over the loose files (path, size, time) that it is made from; empty
    /// where the digests of the inputs say all.
    pub sources: String,
}

/// Which pieces a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All, and commits.
    All,
    /// Each `count`th, and leaves them for the run that finalizes.
    Task {
        /// From 1 to `count`.
        index: usize,
        /// How many tasks there are.
        count: usize,
    },
    /// None: commits what the tasks have made.
    Finalize,
}

impl Share {
    /// The pieces that this run makes, or takes over; those of all tasks, where it
    /// finalizes.
    pub(crate) fn of(self, pieces: &[Piece]) -> impl Iterator<Item = &Piece> {
        let (first, step) = match self {
            Share::Task { index, count } => (index - 1, count),
            Share::All | Share::Finalize => (0, 1),
        };
        pieces.iter().skip(first).step_by(step)
    }
}

/// An artifact that is being written. All methods may be called from several
/// threads.
pub struct Staging {
    folder: PathBuf,
    destination: PathBuf,
    draft: Manifest,
    share: Share,
    /// What is finished by others: tasks, or an interrupted run.
    others: Lines,
    journal: Mutex<Journal>,
    before: Option<PathBuf>,
    /// The files that this run must end with, where it makes a part again.
    must_equal: Option<Before>,
    /// Seconds of work before this run.
    seconds: Option<u64>,
    begun: Instant,
    _lock: Lock,
}

/// Keeps others from writing the same artifact until it is dropped.
pub(crate) struct Lock {
    destination: PathBuf,
    _file: File,
}

impl Lock {
    /// Waits for the runs that write the artifact at `destination`. Tasks wait for
    /// whole runs alone.
    pub(crate) fn wait(destination: &Path, share: Share) -> Result<Lock> {
        let file = disk::lock(destination, matches!(share, Share::Task { .. }))?;
        Ok(Lock {
            destination: destination.to_owned(),
            _file: file,
        })
    }
}

/// The staging folder of the artifact at `destination`.
pub fn folder_of(destination: &Path) -> PathBuf {
    sibling(destination, ".staging")
}

/// What a run must have in common with another to go on from it.
pub(crate) fn fingerprint(draft: &Manifest) -> String {
    draft.compute_digest()
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

    /// Of `pieces`, always the same list, those that this run still has to make.
    ///
    /// # Errors
    /// [`Error::Refused`] naming what the tasks have not made, where this run is
    /// to finalize.
    pub fn to_make<'a>(&self, pieces: &'a [Piece]) -> Result<Vec<&'a Piece>> {
        let missing: Vec<&Piece> = (self.share.of(pieces))
            .filter(|piece| !self.has(piece))
            .collect();
        match missing.first() {
            Some(first) if self.share == Share::Finalize => Err(Error::refused(format!(
                "{}: {} of {} files are {} (the first: {}); run the tasks that make them, then finalize",
                self.folder.display(),
                missing.len(),
                pieces.len(),
                match self.line(&first.name) {
                    Some(_) => "out of date: what they were made from has changed since",
                    None => "not made yet",
                },
                first.name
            ))),
            _ => Ok(missing),
        }
    }

    /// Whether this run leaves its pieces for another to commit.
    pub fn is_task(&self) -> bool {
        matches!(self.share, Share::Task { .. })
    }

    /// Whether what this run makes again must come out as it was.
    pub fn must_equal(&self) -> bool {
        self.must_equal.is_some()
    }

    /// Whether this run makes a part of an artifact again, and all but `pieces` is as
    /// it was: they are all that has to be made before [`Staging::commit_as_before`].
    pub fn lacks_only(&self, pieces: &[&Piece]) -> bool {
        let Some(before) = &self.must_equal else {
            return false;
        };
        let made = |name: &str| pieces.iter().any(|piece| piece.name == name);
        let known = |entry: &FileEntry| {
            self.line(&entry.name)
                .is_some_and(|line| line.entry == *entry)
        };
        before.counts.is_some()
            && before
                .entries
                .values()
                .all(|entry| made(&entry.name) || known(entry))
    }

    /// Whether a piece is finished. In a run that makes a part again it is what it was,
    /// whatever has become of its sources: they are other shards' business.
    fn has(&self, piece: &Piece) -> bool {
        let expected = (self.must_equal.as_ref()).and_then(|old| old.entries.get(&piece.name));
        self.line(&piece.name).is_some_and(|line| match expected {
            Some(expected) => line.entry == *expected,
            None => line.sources == piece.sources,
        })
    }

    fn line(&self, name: &str) -> Option<Line> {
        let own = self.journal().lines.get(name).cloned();
        own.or_else(|| self.others.get(name).cloned())
    }

    /// What was noted about a finished piece; nothing where the notes are damaged.
    pub fn notes(&self, name: &str) -> Option<Vec<u8>> {
        notes(&self.folder, &self.line(name)?)
    }

    /// What was noted about a piece of the artifact that this run replaces.
    pub fn notes_before(&self, name: &str) -> Option<Vec<u8>> {
        let (_, lines, _) = journal::entered(&self.destination.join(JOURNAL))?;
        notes(&self.destination, lines.get(name)?)
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

    /// Enters a piece that was written at [`Staging::path`] as finished, with notes
    /// that are kept beside the artifact for those who make it again.
    ///
    /// # Errors
    /// [`Error::Internal`] where it can't be synced.
    pub fn shard_done(
        &self,
        piece: &Piece,
        shard: WrittenShard,
        notes: Option<&[u8]>,
    ) -> Result<()> {
        shard.file.sync_all().at(&self.folder.join(&piece.name))?;
        let entry = FileEntry {
            name: piece.name.clone(),
            bytes: shard.bytes,
            rows: Some(shard.rows),
            blake3: shard.blake3,
        };
        self.enter_piece(piece, entry, notes)
    }

    /// As [`Staging::shard_done`], of any file; it is read for its digest.
    ///
    /// # Errors
    /// As [`Staging::done`].
    pub fn piece_done(&self, piece: &Piece, rows: u64, notes: Option<&[u8]>) -> Result<()> {
        let entry = self.entry((&piece.name, Some(rows)))?;
        self.enter_piece(piece, entry, notes)
    }

    fn enter_piece(&self, piece: &Piece, entry: FileEntry, notes: Option<&[u8]>) -> Result<()> {
        let mut line = Line {
            entry,
            sources: piece.sources.clone(),
            notes: None,
            adopted: false,
        };
        if let Some(notes) = notes {
            let path = fresh(notes_of(&self.folder, &piece.name))?;
            write_synced(&path, notes)?;
            line.notes = Some(blake3::hash(notes).to_hex().to_string());
        }
        self.journal().enter(vec![line])
    }

    /// Forgets what an interrupted run took over, but for `keep`: it may be damaged since.
    pub(crate) fn forget(&mut self, keep: &[String]) {
        let stays = |name: &String, line: &mut Line| !line.adopted || keep.contains(name);
        self.others.retain(stays);
        self.journal().lines.retain(stays);
    }

    /// Takes files of the artifact that this run replaces over as they are.
    pub(crate) fn adopt(&mut self, old: &Old, names: &[String]) -> Result<()> {
        let known = |line: &Line| {
            self.line(&line.entry.name)
                .is_some_and(|known| known.is_same(line))
        };
        let lines: Vec<Line> = (names.iter())
            .filter_map(|name| old.line(name))
            .filter(|line| !known(line))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        let both = self.seconds.zip(old.seconds());
        self.seconds = both.map(|(own, before)| own + before);
        self.write_work()?;
        let mut adopted = Vec::with_capacity(lines.len());
        for mut line in lines {
            let name = line.entry.name.clone();
            let (from, to) = (self.destination.join(&name), self.path(&name)?);
            if from.exists() {
                link(&from, &to)?;
            }
            if line.notes.is_some() {
                let from = notes_of(&self.destination, &name);
                if link(&from, &fresh(notes_of(&self.folder, &name))?).is_err() {
                    line.notes = None;
                }
            }
            line.adopted = true;
            adopted.push(line);
        }
        self.journal().enter(adopted)
    }

    /// Writes down how many seconds of work were before this run.
    fn write_work(&self) -> Result<()> {
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

    fn entry(&self, (name, rows): (&str, Option<u64>)) -> Result<FileEntry> {
        let path = self.folder.join(name);
        let file = File::open(&path).at(&path)?;
        file.sync_all().at(&path)?;
        let bytes = file.metadata().at(&path)?.len();
        Ok(FileEntry {
            name: name.to_owned(),
            bytes,
            rows,
            blake3: digest_file(&path)?,
        })
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn notes_of(folder: &Path, piece: &str) -> PathBuf {
    folder.join(NOTES).join(piece)
}

fn notes(folder: &Path, line: &Line) -> Option<Vec<u8>> {
    let notes = std::fs::read(notes_of(folder, &line.entry.name)).ok()?;
    let digest = blake3::hash(&notes).to_hex().to_string();
    (line.notes.as_ref() == Some(&digest)).then_some(notes)
}
