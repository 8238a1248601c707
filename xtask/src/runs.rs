//! Reads the artifacts folder: runs, and the artifacts and staging folders in them.

use crate::folders::{children, folders, holds_work, is_staging, lock, name, size};
use crate::run::Run;
use crate::store::{Manifest, staging};
use crate::workspace::shown;
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};

/// The state of a folder in a run.
#[derive(Debug)]
pub enum FolderState {
    /// A finished artifact.
    Done(Box<Manifest>),
    /// A staging folder: its stage is running or was interrupted.
    Staging {
        /// Whether a stage is writing it now.
        busy: bool,
    },
    /// An artifact whose manifest can't be read, and why.
    Damaged(String),
}

/// A folder in a run.
#[derive(Debug)]
pub struct Entry {
    /// Its path in the run's folder.
    pub path: PathBuf,
    /// Its real path: in the store, for a link.
    pub place: PathBuf,
    /// Its state.
    pub state: FolderState,
    /// Size of all its files, in bytes.
    pub bytes: u64,
}

impl Entry {
    /// Whether it is a staging folder with unfinished work in it.
    pub fn is_work(&self) -> bool {
        matches!(self.state, FolderState::Staging { .. }) && holds_work(&self.place)
    }

    /// Whether it is a finished artifact of kind `model`.
    pub fn is_model(&self) -> bool {
        matches!(&self.state, FolderState::Done(manifest) if manifest.kind == "model")
    }
}

/// The runs in `artifacts`, by name.
pub fn list(artifacts: &Path) -> Result<Vec<(String, Vec<Entry>)>> {
    let mut runs = Vec::new();
    for path in folders(artifacts)? {
        let entries = entries(&path)?;
        if !entries.is_empty() {
            runs.push((name(&path), entries));
        }
    }
    Ok(runs)
}

/// The folder of a run: a name in `artifacts`, or the folder itself.
///
/// # Errors
/// [`Error::Usage`] if there is none.
pub fn find(artifacts: &Path, run: &str) -> Result<PathBuf> {
    let places = [artifacts.join(run), PathBuf::from(run)];
    let found = places.into_iter().find(|folder| folder.is_dir());
    found.ok_or_else(|| {
        Error::usage(format!(
            "{run}: neither a run in {} nor a folder; `cargo xtask status` shows the runs",
            shown(artifacts)
        ))
    })
}

/// The artifacts and staging folders of a run: in its folder itself, or in the store by its
/// links.
pub fn entries(run: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for path in children(run)? {
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        let next = path.extension().is_some_and(|end| end == "next") && path.is_symlink();
        if next {
            let target = Run::target(&path).unwrap_or_else(|| path.clone());
            let staging = staging(&target);
            if staging.is_dir() {
                entries.push(Entry::unfinished(path, staging));
            }
        } else if name(&path).ends_with(".staging") && is_staging(&path) {
            entries.push(Entry::unfinished(path, place));
        } else if let Some(entry) = Entry::finished(path, place) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

impl Entry {
    fn unfinished(path: PathBuf, place: PathBuf) -> Entry {
        let busy = lock(&place).is_none();
        Entry {
            bytes: size(&place),
            state: FolderState::Staging { busy },
            path,
            place,
        }
    }

    fn finished(path: PathBuf, place: PathBuf) -> Option<Entry> {
        let state = match Manifest::read(&place) {
            Some(Ok(manifest)) => FolderState::Done(Box::new(manifest)),
            Some(Err(why)) => FolderState::Damaged(why),
            None if path.is_symlink() && !path.exists() => {
                FolderState::Damaged("its artifact is gone from the store".to_owned())
            }
            None => return None,
        };
        Some(Entry {
            bytes: size(&place),
            state,
            path,
            place,
        })
    }
}
