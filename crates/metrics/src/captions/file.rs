//! Files with captions.

use crate::Error;
use std::path::{Path, PathBuf};

/// A file with captions, as bytes.
pub struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// A file whose content is already in memory.
    pub fn new(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> File {
        File {
            path: path.into(),
            bytes: bytes.into(),
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> Result<File, Error> {
        if path.is_dir() {
            return Err(Error::malformed(path, "a folder, not a file"));
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Ok(File::new(path, bytes))
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> Error {
        Error::malformed(&self.path, what)
    }
}
