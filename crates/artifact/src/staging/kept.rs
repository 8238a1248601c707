//! Notes about no single piece, kept in the artifact for later runs.

use super::disk::make_parent;
use super::folder::{Staging, folder_of};
use super::notes::notes_of;
use attend_program::{Result, whole};
use std::path::Path;

/// The note of this name that an unfinished run, or the one that made the artifact at `output`,
/// left with [`Staging::keep_note`]. It may be of other parameters and inputs.
pub(crate) fn kept(output: &Path, name: &str) -> Option<Vec<u8>> {
    let mut folders = [folder_of(output), output.to_owned()].into_iter();
    folders.find_map(|folder| std::fs::read(notes_of(&folder, name)).ok())
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
