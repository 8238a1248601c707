//! Atomic writes of single files.

use crate::{At, Result, fault};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How the names of files begin that are being written.
pub const PART: &str = ".part-";

/// Writes the file at `path` whole or not at all: a reader never sees half of
/// it, and if several processes write it at once, the last one wins.
///
/// The new file has a temporary name beside `path` until it is renamed, and the
/// permissions that the umask leaves. Follows a link instead of replacing it; writes
/// directly to what is not a regular file (a pipe, `/dev/stdout`).
///
/// # Errors
/// [`crate::Error::Internal`] if writing fails, or the error of `write`; then an
/// old file stays as it was.
pub fn write(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let target = followed(path);
    if target.metadata().is_ok_and(|meta| !meta.is_file()) {
        let mut file = OpenOptions::new().write(true).open(&target).at(path)?;
        return write(&mut file);
    }
    let new = part(&target, path, write)?;
    fault::point();
    new.persist(&target).map_err(|e| e.error).at(path)?;
    fault::point();
    Ok(())
}

/// Like [`write()`], with these bytes.
///
/// # Errors
/// [`crate::Error::Internal`] if writing fails.
pub fn write_bytes(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write(path, |file| file.write_all(bytes.as_ref()).at(path))
}

/// Like [`write()`], but only if there is nothing at `path` yet, not even a link; otherwise
/// returns false and changes nothing. If several processes write it at once, one
/// succeeds.
///
/// # Errors
/// Those of [`write()`].
pub fn write_new(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<bool> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    match part(path, path, write)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e.error).at(path),
    }
}

/// Writes the complete new file beside `target`; errors name `path`.
fn part(
    target: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<()>,
) -> Result<NamedTempFile> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut new = tempfile::Builder::new()
        .prefix(PART)
        // The umask is subtracted from these.
        .permissions(PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .at(path)?;
    write(new.as_file_mut())?;
    fault::point();
    new.as_file().sync_all().at(path)?;
    Ok(new)
}

/// The target of a link, even if nothing is there yet; a path that is not a link itself.
pub fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // Linux follows as many links.
    for _ in 0..40 {
        path = path.components().collect(); // `link/` is the folder, not the link
        let Ok(to) = std::fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn many_at_once_leave_one_whole_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.json");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || write_bytes(path, n.to_string().repeat(100_000)).unwrap());
            }
        });
        let text = std::fs::read(&path).unwrap();
        assert_eq!(text.len(), 100_000);
        assert!(text.iter().all(|byte| *byte == text[0]));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn of_many_that_write_it_new_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let new = |text: &str| write_new(&path, |file| file.write_all(text.as_bytes()).at(&path));
        let won = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|n| scope.spawn(move || new(&n.to_string())))
                .collect();
            all.into_iter()
                .map(|t| t.join().unwrap().unwrap())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(won, 1);
        assert!(!new("late").unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_bytes(&path, "old").unwrap();
        let failed = write(&path, |file| {
            file.write_all(b"half").at(&path)?;
            Err(Error::internal("no more"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_the_umask_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink("target", &link).unwrap();
        write_bytes(&link, "text").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "text");
        let plain = folder.path().join("plain");
        File::create(&plain).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&plain));
    }
}
