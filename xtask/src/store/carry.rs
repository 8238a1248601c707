//! Gives a stage that can go on from output of other parameters, such as a longer training
//! from a shorter one, that output at the place of the new one.

use super::{CARRIED, Manifest, Request, Store, beside, is_busy, staging};
use attend_program::{At, Result};
use std::path::Path;

/// Copies the artifact at `from`, or the unfinished one beside it, to `to`, where nothing
/// is yet, if it was made by the same program from the same inputs. A program that writes in
/// place must not reach the original, so the copy has no hard links. Returns whether there
/// is a copy.
pub fn carry(store: &Store, from: &Path, to: &Path, request: &Request) -> Result<bool> {
    let _lock = store.lock()?;
    if from == to || to.exists() || staging(to).exists() || is_busy(from) {
        return Ok(false);
    }
    // What lies at the new place is not yet what the place stands for.
    let mark = || std::fs::write(beside(to, CARRIED), "").at(to);
    let fits = |manifest: &Manifest| request.differs_in_parameters_only(manifest);
    let begun = staging(from);
    if Manifest::of_work(&begun).is_some_and(|work| fits(&work)) {
        mark()?;
        copy(&begun, &staging(to))?;
        return Ok(true);
    }
    match Manifest::read(from) {
        Some(Ok(manifest)) if fits(&manifest) => {
            mark()?;
            copy(from, to).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// Copies a folder under another name first, so that an interruption leaves no half of it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let part = beside(to, ".part");
    if part.exists() {
        std::fs::remove_dir_all(&part).at(&part)?;
    }
    copy_into(from, &part)?;
    std::fs::rename(&part, to).at(to)
}

fn copy_into(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).at(to)?;
    for entry in from.read_dir().at(from)? {
        let entry = entry.at(from)?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_into(&path, &target)?;
        } else {
            std::fs::copy(&path, &target).at(&path)?;
        }
    }
    Ok(())
}
