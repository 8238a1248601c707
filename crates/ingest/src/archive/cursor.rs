//! Reads a file that is shared by several threads.

use super::handle::Handle;
use crate::reference::{Refusal, refuse};
use attend_artifact::ledger::Reason;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A reader with its own position in a shared file.
pub(super) struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Cursor {
    pub(super) fn start(file: &Handle) -> io::Result<Cursor> {
        let file = file.get()?;
        Ok(Cursor { file, at: 0 })
    }
}

impl Read for Cursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = place.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// The refusal of a photograph whose member can't be read.
pub(super) fn io_refusal(error: io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::UnexpectedEof => refuse(Reason::Truncated, "cut in its archive"),
        ErrorKind::Unsupported => refuse(Reason::Unsupported, error),
        ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            refuse(Reason::Corrupt, format!("in its archive: {error}"))
        }
        _ => refuse(Reason::Unreadable, error),
    }
}
