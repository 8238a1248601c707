//! Notes, kept in the artifact for later runs: about finished pieces, and about the whole.

use super::disk::make_parent;
use super::folder::{Staging, folder_of};
use super::journal::Line;
use crate::Stage;
use attend_program::{Result, whole};
use std::path::{Path, PathBuf};

/// The folder of the notes.
pub(super) const NOTES: &str = ".notes";

pub(super) fn notes_of(folder: &Path, piece: &str) -> PathBuf {
    folder.join(NOTES).join(piece)
}

pub(super) fn notes(folder: &Path, line: &Line) -> Option<Vec<u8>> {
    let notes = std::fs::read(notes_of(folder, &line.entry.name)).ok()?;
    let digest = blake3::hash(&notes).to_hex().to_string();
    (line.notes.as_ref() == Some(&digest)).then_some(notes)
}

impl<C> Stage<C> {
    /// The note of this name that an unfinished run, or the one that made the output, left
    /// with [`Staging::keep_note`]. It may be of other parameters and inputs.
    pub fn note(&self, name: &str) -> Option<Vec<u8>> {
        let output = self.output();
        let mut folders = [folder_of(output), output.to_owned()].into_iter();
        folders.find_map(|folder| std::fs::read(notes_of(&folder, name)).ok())
    }
}

impl Staging {
    /// Keeps a note in the artifact that is about no single piece.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] if it can't be written.
    pub fn keep_note(&mut self, name: &str, note: &[u8]) -> Result<()> {
        let path = make_parent(notes_of(&self.folder, name))?;
        whole::write_bytes(&path, note)?;
        self.kept.push(notes_of("".as_ref(), name));
        Ok(())
    }
}
