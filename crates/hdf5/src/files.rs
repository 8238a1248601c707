//! The files of an export.

use attend_program::{At, Error, Result};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The files of an export, which are written in a folder of their own until all are
/// complete.
pub(crate) struct Files {
    folder: PathBuf,
    staging: PathBuf,
    base: String,
    _lock: File,
}

impl Files {
    /// Begins an export into `folder`; `force` replaces files of the same `base`.
    pub(crate) fn begin(folder: &Path, base: String, force: bool) -> Result<Files> {
        let staging = folder.join(".export");
        let foreign = |path: PathBuf| {
            Err(Error::refused(format!(
                "{}: already exists and is not from an export; name another folder",
                path.display()
            )))
        };
        let manifest = folder.join("manifest.json");
        if manifest.exists() {
            return foreign(manifest);
        }
        for entry in staging.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            let end = path.extension().unwrap_or_default();
            if !path.is_file() || !(end == "hdf5" || end == "json") {
                return foreign(path);
            }
        }
        std::fs::create_dir_all(&staging).at(&staging)?;
        let lock = File::open(&staging).at(&staging)?;
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(Error::usage(format!(
                "{}: another export is writing to it; wait for it to end",
                folder.display()
            )));
        }
        for entry in staging.read_dir().at(&staging)?.flatten() {
            // Left over from an export that was killed.
            std::fs::remove_file(entry.path()).at(&entry.path())?;
        }
        let files = Files {
            folder: folder.to_owned(),
            staging,
            base,
            _lock: lock,
        };
        let end = format!("_{}.", files.base);
        let names = folder.read_dir().at(folder)?.flatten();
        let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        match names.find(|name| name.contains(&end)) {
            Some(name) if !force => Err(Error::usage(format!(
                "{}: already exists; name another folder, or replace the files with --force",
                folder.join(name).display()
            ))),
            _ => Ok(files),
        }
    }

    /// The path to write a file to, until [`Files::commit`].
    pub(crate) fn path(&self, what: &str, end: &str) -> PathBuf {
        self.staging.join(format!("{what}_{}.{end}", self.base))
    }

    /// Moves the files to their final place.
    pub(crate) fn commit(self) -> Result<()> {
        for entry in self.staging.read_dir().at(&self.staging)?.flatten() {
            let place = self.folder.join(entry.file_name());
            std::fs::rename(entry.path(), &place).at(&place)?;
        }
        let folder = File::open(&self.folder).at(&self.folder)?;
        folder.sync_all().at(&self.folder)?;
        tracing::info!("{}: *_{}.*", self.folder.display(), self.base);
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.staging);
    }
}
