//! Where an artifact goes, and what it never replaces.

use super::disk;
use super::journal::{self, JOURNAL};
use super::notes::NOTES;
use super::work::WORK;
use crate::manifest::{self, Manifest};
use attend_program::{At, Error, Result, loose, whole};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The folder that `output` names. Follows a link: the artifact replaces its target, and
/// the link stays.
///
/// # Errors
/// [`Error::Usage`] if `output` is not the name of a folder that can be replaced.
pub(crate) fn destination(output: &Path) -> Result<PathBuf> {
    let destination = whole::followed(output);
    let usage = |why: &str| {
        Err(Error::usage(format!(
            "--output {}: {why}",
            output.display()
        )))
    };
    match destination.file_name().map(OsStr::to_string_lossy) {
        None => usage("give the artifact's folder a name"),
        Some(name) if name.ends_with(".staging") => {
            usage("unfinished artifacts are called so; name another folder")
        }
        Some(_) => {
            let place = real(&destination);
            let is_artifact = |folder: &&Path| folder.join(JOURNAL).exists();
            match place.ancestors().skip(1).find(is_artifact) {
                Some(artifact) => usage(&format!("is inside {}", artifact.display())),
                None => Ok(destination),
            }
        }
    }
}

/// Refuses an output that is an input, is inside one or contains one: the input would be
/// changed or lost.
///
/// # Errors
/// [`Error::Usage`] naming both.
pub fn apart<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let place = real(output);
    for input in inputs {
        let from = real(input);
        if place.starts_with(&from) || from.starts_with(&place) {
            return Err(Error::usage(format!(
                "--output {}: is, contains or is inside {}, which this run reads; name another place",
                output.display(),
                input.display()
            )));
        }
    }
    Ok(())
}

/// The path with links resolved, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.ancestors().find_map(|known| {
        let rest = path.strip_prefix(known).ok()?;
        Some(known.canonicalize().ok()?.join(rest))
    });
    real.unwrap_or(path)
}

/// Refuses a path that holds something other than an artifact of the draft's kind.
/// Returns whether there is one.
///
/// # Errors
/// [`Error::Refused`] saying what is there.
pub(crate) fn check(destination: &Path, draft: &Manifest) -> Result<bool> {
    let refuse = |why: String| {
        Err(Error::refused(format!(
            "--output {}: {why}; name another place or move it away",
            destination.display()
        )))
    };
    if !destination.exists() {
        return Ok(false);
    }
    if !destination.is_dir() {
        return refuse("there is a file".into());
    }
    if is_empty(destination)? {
        return Ok(false);
    }
    // Without `Manifest::read`: a damaged artifact is still one of ours.
    let text = std::fs::read(destination.join(manifest::FILE));
    let value: Value = (text.ok())
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let is_manifest = value.get("digest").is_some() && value.get("files").is_some();
    match value.get("kind").and_then(Value::as_str) {
        Some(kind) if is_manifest && kind != draft.kind => refuse(format!(
            "there is an artifact of kind {kind:?}, which {} does not make",
            draft.producer.name
        )),
        Some(_) if manifest::newer(&value).is_some() => {
            refuse("there is an artifact of a newer version of attend".into())
        }
        Some(_) if is_manifest => Ok(true),
        _ if journal::read(&destination.join(JOURNAL)).is_some() => Ok(true),
        _ => refuse("it holds something that is not an artifact".into()),
    }
}

/// Refuses to replace an artifact whose folder holds files that don't belong to it.
///
/// # Errors
/// Those of [`check`]; [`Error::Refused`] naming such a file.
pub(super) fn check_files(destination: &Path, draft: &Manifest) -> Result<()> {
    if !check(destination, draft)? {
        return Ok(());
    }
    let Ok(manifest) = Manifest::read(destination) else {
        return Ok(());
    };
    let own = |name: &Path| {
        let text = name.to_string_lossy();
        is_hidden(&text) || text == manifest::FILE || manifest.file(&text).is_some()
    };
    match strange(destination, Path::new(""), &own)? {
        None => Ok(()),
        Some(file) => Err(Error::refused(format!(
            "--output {}: holds {}, which is not a file of the artifact and would be lost with it; move it away",
            destination.display(),
            file.display()
        ))),
    }
}

/// Whether an artifact may have a file or folder of this name that is not content.
pub(crate) fn is_hidden(name: &str) -> bool {
    journal::is_journal(name)
        || [WORK, disk::REPLACED, NOTES, loose::FILE].contains(&name)
        || name.starts_with(".nfs")
        || name == ".DS_Store"
}

/// Finds a file below `root` that is not `own`; skips folders that are.
fn strange(root: &Path, below: &Path, own: &dyn Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let folder = root.join(below);
    for entry in folder.read_dir().at(&folder)? {
        let entry = entry.at(&folder)?;
        let name = below.join(entry.file_name());
        let found = match entry.file_type().at(&folder)?.is_dir() {
            _ if own(&name) => None,
            true => strange(root, &name, own)?,
            false => Some(name),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Returns whether there is a staging folder; refuses anything else of its name.
///
/// # Errors
/// [`Error::Refused`] if no stage made it.
pub(super) fn is_begun(folder: &Path) -> Result<bool> {
    if folder.symlink_metadata().is_err() {
        return Ok(false);
    }
    let ours = folder.is_dir()
        && !folder.is_symlink()
        && (folder.join(WORK).exists()
            || !journal::all(folder).is_empty()
            || is_just_made(folder)?);
    match ours {
        true => Ok(true),
        false => Err(Error::refused(format!(
            "{}: is not an unfinished artifact, but has the name of one; move it away",
            folder.display()
        ))),
    }
}

/// Whether a folder is empty, or another task is about to write the first files into it.
fn is_just_made(folder: &Path) -> Result<bool> {
    for entry in folder.read_dir().at(folder)? {
        let name = entry.at(folder)?.file_name();
        if !name.as_encoded_bytes().starts_with(whole::PART.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_empty(folder: &Path) -> Result<bool> {
    Ok(folder.read_dir().at(folder)?.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_another_task_has_just_made_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_begun(folder.path()).unwrap());
        std::fs::write(folder.path().join(".part-x1"), "").unwrap();
        assert!(is_begun(folder.path()).unwrap());
        std::fs::write(folder.path().join("thesis"), "").unwrap();
        assert!(is_begun(folder.path()).is_err());
    }
}
