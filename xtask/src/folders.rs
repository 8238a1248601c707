//! Folders: their names, sizes, locks, and whether they hold unfinished work.

use attend_program::{At, Result};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Whether a stage made this folder: its name alone does not say so.
pub fn is_staging(path: &Path) -> bool {
    let ours = |name: &String| name.starts_with(".journal") || name == ".work.json";
    let names = names(path);
    names.is_empty() || names.iter().any(ours)
}

/// Whether a staging folder holds files of an artifact, not only the stage's hidden ones.
pub fn holds_work(staging: &Path) -> bool {
    names(staging).iter().any(|name| !name.starts_with('.'))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| name(&entry.path())).collect()
}

/// Locks a staging folder, so that no stage writes it while the lock is held; `None` if a
/// stage is writing it.
pub fn lock(staging: &Path) -> Option<Lock> {
    // The lock file is beside the output.
    let Ok(file) = File::open(staging.with_extension("lock")) else {
        return Some(Lock(None));
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        _ => Some(Lock(Some(file))),
    }
}

/// A lock that [`lock`] took.
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Option<File>);

/// Size of all files below a path, in bytes.
pub fn size(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => path
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| size(&entry.path()))
            .sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}

/// Last component of a path.
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The folders in a folder, and the links.
pub fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let mut children: Vec<PathBuf> = (path.read_dir().at(path)?.flatten())
        .map(|entry| entry.path())
        .filter(|path| path.is_symlink() || path.is_dir())
        .collect();
    children.sort();
    Ok(children)
}

/// The folders in a folder, without hidden ones, by name.
pub fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut folders: Vec<PathBuf> = path
        .read_dir()
        .at(path)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !name(path).starts_with('.'))
        .collect();
    folders.sort();
    Ok(folders)
}
