//! Takes over artifacts that lie in a run's folder itself, as they did before the store.

use super::{Manifest, Request, State, Store, beside, is_busy, look, staging};
use crate::folders::{holds_work, is_staging, name};
use attend_program::{At, Error, Result, say};
use std::path::{Path, PathBuf};

/// Moves the artifact at `path` in a run's folder, and the unfinished one beside it, to
/// their places in the store. `request` is what the artifact was asked for, given its
/// manifest or that of the unfinished work. Returns the place of the finished one.
///
/// # Errors
/// [`Error::Usage`] if a stage is writing it.
pub fn adopt(
    store: &Store,
    path: &Path,
    request: &dyn Fn(&Manifest, bool) -> Request,
) -> Result<Option<PathBuf>> {
    let begun = staging(path);
    let is_real = |folder: &Path| folder.is_dir() && !folder.is_symlink();
    let is_begun = || is_real(&begun) && is_staging(&begun);
    if !is_begun() && !is_real(path) {
        return Ok(None);
    }
    let _lock = store.lock()?;
    // Another runner may have moved them meanwhile.
    let (is_begun, is_old) = (is_begun(), is_real(path));
    if is_busy(path) {
        return Err(Error::usage(format!(
            "{}: a stage is writing it; wait for it or stop it",
            path.display()
        )));
    }
    if is_begun && let Some(work) = Manifest::of_work(&begun).filter(|_| holds_work(&begun)) {
        let place = store.place(&request(&work, true));
        if !staging(&place).exists() {
            std::fs::rename(&begun, staging(&place)).at(&begun)?;
            say!("{} is in the store now: {}", name(&begun), name(&place));
        }
    }
    let mut taken = None;
    if is_old
        && let Some(manifest) = Manifest::read(path)
            .map(Result::ok)
            .map(|read| read.or_else(|| Manifest::of_work(path)))
        && let Some(manifest) = manifest
    {
        let mut place = store.place(&request(&manifest, false));
        if place.exists() && !is_same(&place, &manifest) {
            // Another run has made it since, and this one differs from it.
            place = store
                .root
                .join(format!("{}-{}", manifest.kind, manifest.short()));
        }
        match place.exists() {
            true if is_same(&place, &manifest) => {
                if let Some(file) = strange(path, Path::new(""), &manifest) {
                    return Err(Error::usage(format!(
                        "{}: the same artifact is in the store, and this copy holds {}, which is not a file of it and would be lost with it; move it away",
                        path.display(),
                        file.display()
                    )));
                }
                std::fs::remove_dir_all(path).at(path)?;
            }
            true => {
                return Err(Error::usage(format!(
                    "{}: can't be moved to {}, because something else is there; move one of them away",
                    path.display(),
                    place.display()
                )));
            }
            false => std::fs::rename(path, &place).at(path)?,
        }
        say!("{} is in the store now: {}", name(path), name(&place));
        taken = Some(place);
    }
    let _ = std::fs::remove_file(beside(path, ".lock"));
    Ok(taken)
}

/// Whether the artifact at `place` is whole and the same as the one of this manifest.
fn is_same(place: &Path, manifest: &Manifest) -> bool {
    let found = Manifest::read(place).and_then(Result::ok);
    found.is_some_and(|found| found.digest == manifest.digest) && look(place).0 != State::Damaged
}

/// A file below `folder` of an artifact that is neither one of its own nor a stage's hidden
/// one.
fn strange(artifact: &Path, folder: &Path, manifest: &Manifest) -> Option<PathBuf> {
    let entries = artifact.join(folder).read_dir().into_iter().flatten();
    entries.flatten().find_map(|entry| {
        let file = folder.join(entry.file_name());
        let text = file.to_string_lossy();
        let is_own = text.starts_with('.')
            || text == "manifest.json"
            || manifest.files.iter().any(|own| own.name == text);
        match entry.file_type() {
            _ if is_own => None,
            Ok(kind) if kind.is_dir() => strange(artifact, &file, manifest),
            _ => Some(file),
        }
    })
}
