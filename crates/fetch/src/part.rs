//! A file of which not all has arrived: `NAME.part`, and beside it `NAME.part.etag`, by which
//! the server knows the file that the part is of.

use attend_program::{At, Error, Result, whole};
use std::fs::{File, TryLockError, remove_file, rename};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is being downloaded. Nobody else writes it as long as this exists.
pub struct Part {
    target: PathBuf,
    path: PathBuf,
    etag: PathBuf,
    file: File,
    bytes: u64,
    validator: Option<String>,
}

impl Part {
    /// Opens what has arrived of the file at `target`, or begins it.
    ///
    /// # Errors
    /// [`Error::Usage`] if another program is downloading it, and those of the system.
    pub fn open(target: &Path) -> Result<Part> {
        let path = target.with_added_extension("part");
        let etag = path.with_added_extension("etag");
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true);
        let mut file = file.open(&path).at(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(Error::usage(format!(
                    "{path}: another program is downloading it"
                )));
            }
            // Some file systems have no locks.
            Err(TryLockError::Error(e)) => tracing::debug!("{}: no lock: {e}", path.display()),
        }
        let bytes = file.seek(SeekFrom::End(0)).at(&path)?;
        let validator = std::fs::read_to_string(&etag).ok();
        Ok(Part {
            target: target.to_owned(),
            path,
            etag,
            file,
            bytes,
            validator,
        })
    }

    /// Number of bytes that have arrived.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the server calls this state of the file: its ETag or date.
    pub fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins again, with the file that the server calls so.
    ///
    /// # Errors
    /// Those of the system.
    pub fn restart(&mut self, validator: Option<String>) -> Result<()> {
        self.file.set_len(0).at(&self.path)?;
        self.file.rewind().at(&self.path)?;
        self.bytes = 0;
        match &validator {
            Some(validator) => whole::write_bytes(&self.etag, validator)?,
            None => drop(remove_file(&self.etag)),
        }
        self.validator = validator;
        Ok(())
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// Those of the system, such as a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).at(&self.path)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Gives the whole file its name.
    ///
    /// # Errors
    /// Those of the system.
    pub fn finish(self) -> Result<()> {
        self.file.sync_all().at(&self.path)?;
        rename(&self.path, &self.target).at(&self.target)?;
        let _ = remove_file(&self.etag);
        Ok(())
    }

    /// Deletes what has arrived.
    pub fn delete(self) {
        let _ = remove_file(&self.etag);
        let _ = remove_file(&self.path);
    }
}
