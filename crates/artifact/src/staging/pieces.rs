//! Finds the unfinished pieces of a staging folder, and enters finished ones.

use super::disk::{fresh, write_synced};
use super::folder::Staging;
use super::journal::{self, JOURNAL, Line};
use super::notes::{notes, notes_of};
use super::piece::{Piece, Share};
use crate::manifest::FileEntry;
use crate::shard::WrittenShard;
use attend_program::{At, Error, Result, fault};

impl Staging {
    /// Those of `pieces` (always the same list) that this run still has to make.
    ///
    /// # Errors
    /// [`Error::Refused`], naming what the tasks have not made, if this run finalizes.
    pub fn to_make<'a>(&self, pieces: &'a [Piece]) -> Result<Vec<&'a Piece>> {
        let missing: Vec<&Piece> = (self.share.select(pieces))
            .filter(|piece| !self.has(piece))
            .collect();
        match missing.first() {
            Some(first) if self.share == Share::Finalize => Err(Error::refused(format!(
                "{}: {} of {} files are {} (the first: {}); run the tasks that make them, then finalize",
                self.folder.display(),
                missing.len(),
                pieces.len(),
                match self.line(&first.name) {
                    Some(_) => "out of date: their sources have changed since",
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

    /// The schema version of the artifact: an older one if part of an older one is made again.
    pub fn schema(&self) -> u32 {
        self.draft.schema
    }

    /// Whether this run must reproduce what it makes exactly.
    pub fn must_equal(&self) -> bool {
        self.must_equal.is_some()
    }

    /// Whether this run makes part of an artifact again and everything except `pieces` is
    /// unchanged, so that only they have to be made before [`Staging::commit_as_before`].
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

    /// Whether a piece is finished. In a run that makes part of an artifact again, a piece
    /// with its old contents is finished even if its sources have changed.
    fn has(&self, piece: &Piece) -> bool {
        let expected = (self.must_equal.as_ref()).and_then(|old| old.entries.get(&piece.name));
        self.line(&piece.name).is_some_and(|line| match expected {
            Some(expected) => line.entry == *expected,
            None => line.sources == piece.sources,
        })
    }

    /// The notes about a finished piece; `None` if there are none or they are damaged.
    pub fn notes(&self, name: &str) -> Option<Vec<u8>> {
        notes(&self.folder, &self.line(name)?)
    }

    /// The notes about a piece of the artifact that this run replaces.
    pub fn notes_before(&self, name: &str) -> Option<Vec<u8>> {
        let (_, lines, _) = journal::entered(&self.destination.join(JOURNAL))?;
        notes(&self.destination, lines.get(name)?)
    }

    /// Enters a piece that was written at [`Staging::path`] as finished, with notes
    /// that are kept in the artifact for runs that make parts of it again.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be synced.
    pub fn shard_done(
        &self,
        piece: &Piece,
        shard: WrittenShard,
        notes: Option<&[u8]>,
    ) -> Result<()> {
        fault::point();
        shard.file.sync_all().at(&self.folder.join(&piece.name))?;
        let entry = FileEntry {
            name: piece.name.clone(),
            bytes: shard.bytes,
            rows: Some(shard.rows),
            blake3: shard.blake3,
        };
        fault::point();
        self.enter_piece(piece, entry, notes)
    }

    /// Like [`Staging::shard_done`], for any file; reads it for its digest.
    ///
    /// # Errors
    /// Those of [`Staging::done`].
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
}
