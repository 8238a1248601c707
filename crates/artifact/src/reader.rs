//! Opens and reads finished artifacts.

use crate::digest::digest_file;
use crate::manifest::{FileEntry, Input, Manifest, short};
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};

/// A finished artifact, opened for reading. Its manifest is valid, and its files have the
/// sizes in the manifest.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its folder.
    pub root: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Artifact {
    /// Opens the artifact in `root`, of any kind.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not a whole artifact.
    pub fn open(root: &Path) -> Result<Artifact> {
        let manifest = Manifest::read(root)?;
        let artifact = Artifact {
            root: root.to_owned(),
            manifest,
        };
        for file in &artifact.manifest.files {
            artifact.check_size(file)?;
        }
        Ok(artifact)
    }

    /// Opens the artifact in `root`, which must be of the given kind.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not a whole artifact of that kind.
    pub fn open_kind(root: &Path, kind: &str) -> Result<Artifact> {
        let artifact = Artifact::open(root)?;
        if artifact.manifest.kind != kind {
            return Err(Error::refused(format!(
                "{} is an artifact of kind {:?}, not {kind:?}",
                root.display(),
                artifact.manifest.kind
            )));
        }
        Ok(artifact)
    }

    /// Path of one of its files.
    ///
    /// # Errors
    /// [`Error::Refused`] if the manifest doesn't list it.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        match self.manifest.file(name) {
            Some(_) => Ok(self.root.join(name)),
            None => Err(Error::refused(format!(
                "{}: the {} artifact has no file {name:?}",
                self.root.display(),
                self.manifest.kind
            ))),
        }
    }

    /// One of its counts; 0 if it has none of that name.
    pub fn count(&self, name: &str) -> u64 {
        self.manifest.counts.get(name).copied().unwrap_or(0)
    }

    /// Reads every file and compares its BLAKE3 with the manifest.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the first few files that differ.
    pub fn verify(&self) -> Result<()> {
        let mut damaged = Vec::new();
        for file in &self.manifest.files {
            attend_program::check_interrupt()?;
            if digest_file(&self.root.join(&file.name))? != file.blake3 {
                damaged.push(file.name.as_str());
            }
        }
        if damaged.is_empty() {
            return Ok(());
        }
        let names = damaged
            .iter()
            .take(5)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        Err(Error::refused(format!(
            "{}: {} of {} files are damaged ({names}): their BLAKE3 is not what manifest.json says; make the artifact again",
            self.root.display(),
            damaged.len(),
            self.manifest.files.len()
        )))
    }

    /// This artifact as an input in a manifest.
    pub fn input(&self) -> Input {
        Input {
            kind: self.manifest.kind.clone(),
            digest: self.manifest.digest.clone(),
        }
    }

    /// The digest's first characters.
    pub fn short_digest(&self) -> &str {
        short(&self.manifest.digest)
    }

    fn check_size(&self, file: &FileEntry) -> Result<()> {
        let path = self.root.join(&file.name);
        match std::fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => Err(Error::refused(format!(
                "{} is not a regular file; make the artifact again",
                path.display()
            ))),
            Ok(meta) if meta.len() == file.bytes => Ok(()),
            Ok(meta) => Err(Error::refused(format!(
                "{} has {} bytes, but the manifest says {}; make the artifact again",
                path.display(),
                meta.len(),
                file.bytes
            ))),
            Err(e) => Err(Error::refused(format!(
                "{}: {e}, but the manifest lists it; make the artifact again",
                path.display()
            ))),
        }
    }
}
