//! Notes about finished pieces, kept in the artifact for runs that make parts of it again.

use super::journal::Line;
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
