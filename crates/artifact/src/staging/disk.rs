//! File system operations of the staging folder.

use super::journal;
use super::work::{WORK, Work};
use crate::Manifest;
use attend_program::{At, Result, fault};
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A folder of the artifact that replaces another one, until that one is removed.
pub(super) const REPLACED: &str = ".replaced";

/// The path `NAMEsuffix` beside `NAME`.
pub(super) fn sibling(destination: &Path, suffix: &str) -> PathBuf {
    let mut name = destination.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    destination.with_file_name(name)
}

pub(super) fn make_parent(path: PathBuf) -> Result<PathBuf> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).at(parent)?;
    }
    Ok(path)
}

/// Like [`make_parent`], but also removes a file at `path`.
pub(super) fn fresh(path: PathBuf) -> Result<PathBuf> {
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).at(&path),
        _ => make_parent(path),
    }
}

/// Removes a folder, if there is one.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).at(folder),
        _ => Ok(()),
    }
}

/// Removes a staging folder. First marks it as no work at all, so that a half-removed one
/// can be deleted without a question.
pub(super) fn remove_staging(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let nothing = Work {
        seconds: Some(0),
        draft: Manifest::draft("", "", ""),
    };
    let _ = nothing.write(folder); // a full disk must not prevent the removal
    for entry in folder.read_dir().at(folder)? {
        let path = entry.at(folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match path.is_dir() && !path.is_symlink() {
            true => remove(&path)?,
            false if name == WORK || journal::is_journal(&name) => {}
            false => std::fs::remove_file(&path).at(&path)?,
        }
    }
    remove(folder)
}

/// Hard-links a file to a free name; copies it if the file system has no hard links.
pub(super) fn link(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).at(from)?;
        File::open(to).and_then(|file| file.sync_all()).at(to)?;
    }
    Ok(())
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).at(path)?;
    fault::point();
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .at(path)
}

/// Syncs a folder and those below it, and adds the permission bits `readers` to all files:
/// a copied or linked file has the permissions of its origin.
pub(super) fn sync_folders(folder: &Path, readers: u32) -> Result<()> {
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let mode = entry.metadata().at(folder)?.permissions().mode();
        if entry.file_type().at(folder)?.is_dir() {
            sync_folders(&entry.path(), readers)?;
        } else if mode | readers != mode {
            // A linked file of another user stays as it is.
            let _ = std::fs::set_permissions(entry.path(), Permissions::from_mode(mode | readers));
        }
    }
    sync_folder(folder)
}

/// Syncs a folder, if the file system supports it.
fn sync_folder(folder: &Path) -> Result<()> {
    fault::point();
    match File::open(folder).and_then(|file| file.sync_all()) {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced.at(folder),
    }
}

/// Replaces `destination` by `folder`: atomically if the system can exchange two names;
/// else the old one is moved into the new one first.
pub(super) fn replace(folder: &Path, destination: &Path) -> Result<()> {
    if destination.exists() {
        let replaced = folder.join(REPLACED);
        std::fs::create_dir(&replaced).at(&replaced)?;
        fault::point();
        if !exchange(folder, destination) {
            std::fs::rename(destination, &replaced).at(destination)?;
            fault::point();
            std::fs::rename(folder, destination).at(destination)?;
        }
        fault::point();
        remove_replaced(destination)?;
    } else {
        std::fs::rename(folder, destination).at(destination)?;
    }
    fault::point();
    match destination.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Whether the artifact at `destination` has replaced another one, and the run that did so
/// was killed before it removed that one. A folder that is not an artifact has replaced
/// nothing, whatever is in it.
pub(crate) fn has_replaced(destination: &Path) -> bool {
    destination.join(REPLACED).is_dir() && Manifest::read(destination).is_ok()
}

/// Removes the artifact that the one at `destination` has replaced. It is in the folder
/// [`REPLACED`]; if that is empty, the names were exchanged, and it is the staging folder.
pub(super) fn remove_replaced(destination: &Path) -> Result<()> {
    let replaced = destination.join(REPLACED);
    let Ok(mut entries) = replaced.read_dir() else {
        return Ok(());
    };
    if entries.next().is_none() {
        remove_staging(&sibling(destination, ".staging"))?;
        fault::point();
    }
    remove(&replaced)
}

#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}
