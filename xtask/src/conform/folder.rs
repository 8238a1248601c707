//! Artifacts as files.

use attend_program::{At, Error, Result};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The manifest of an artifact; `None` if there is none that can be read.
pub fn manifest(artifact: &Path) -> Option<Json> {
    let text = std::fs::read(artifact.join("manifest.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The digest of an artifact.
pub fn digest(artifact: &Path) -> Option<String> {
    Some(manifest(artifact)?.get("digest")?.as_str()?.to_owned())
}

/// Path below a folder -> size and time of each file in it.
pub type State = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// The files below a folder, or the file itself.
pub fn state(folder: &Path) -> State {
    let mut state = State::new();
    add(folder, &mut state);
    state
}

fn add(path: &Path, state: &mut State) {
    let Ok(meta) = path.metadata() else { return };
    if meta.is_dir() {
        let entries = path.read_dir().into_iter().flatten().flatten();
        entries.for_each(|entry| add(&entry.path(), state));
    } else {
        state.insert(path.to_owned(), (meta.len(), meta.modified().ok()));
    }
}

/// What a run has left beside an artifact, or in it, that the next run would continue from
/// or trip over. Locks and logs may stay.
pub fn left_over(artifact: &Path) -> Option<String> {
    let parent = artifact.parent()?;
    let name = artifact.file_name()?.to_string_lossy().into_owned();
    let allowed = [".lock", ".log"].map(|end| format!("{name}{end}"));
    let beside = |found: &String| found.starts_with(&name) && *found != name;
    let names = parent.read_dir().ok()?.flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.find(|found| beside(found) && !allowed.contains(found))
}

/// Links each file of an artifact into a new folder; returns the folder.
fn mirrored(artifact: &Path, to: &Path) -> Result<PathBuf> {
    let from = artifact.canonicalize().at(artifact)?;
    for file in state(&from).into_keys() {
        let below = file.strip_prefix(&from).map_err(Error::internal)?;
        let link = to.join(below);
        if let Some(parent) = link.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        std::os::unix::fs::symlink(&file, &link).at(&link)?;
    }
    Ok(to.to_owned())
}

/// A copy of an artifact in which the file `name` is what `change` makes of it.
pub fn changed(
    artifact: &Path,
    to: &Path,
    name: &str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<PathBuf> {
    mirrored(artifact, to)?;
    overwrite(&to.join(name), change)?;
    Ok(to.to_owned())
}

/// Replaces a file, or a link to one, by what `change` makes of it.
pub fn overwrite(file: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<()> {
    let bytes = std::fs::read(file).at(file)?;
    std::fs::remove_file(file).at(file)?;
    std::fs::write(file, change(bytes)).at(file)
}

/// The name of the smallest file of an artifact that is not empty.
pub fn smallest_file(artifact: &Path) -> Option<String> {
    let manifest = manifest(artifact)?;
    let files = manifest.get("files")?.as_array()?.iter();
    let sized = files.filter_map(|file| {
        let bytes = file.get("bytes")?.as_u64().filter(|bytes| *bytes > 0)?;
        Some((bytes, file.get("name")?.as_str()?.to_owned()))
    });
    sized.min().map(|(_, name)| name)
}

/// The names of an artifact's shards, such as `train-00003`.
pub fn shards(artifact: &Path) -> Vec<String> {
    let manifest = manifest(artifact).unwrap_or_default();
    let files = manifest.get("files").and_then(Json::as_array);
    let names = files.into_iter().flatten().filter_map(|file| {
        let name = file.get("name")?.as_str()?.strip_prefix("shards/")?;
        Some(name.split('.').next()?.to_owned())
    });
    names.collect()
}
