//! What lies in the artifacts folder.

use attend_program::{At, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The part of a manifest that is of interest here.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// Kind of the artifact.
    pub kind: String,
    /// Its digest.
    pub digest: String,
    /// Sums.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

/// What a folder of a run is.
#[derive(Debug)]
pub enum State {
    /// A finished artifact.
    Done(Manifest),
    /// Left by a stage that was interrupted, or of one that is at work.
    Staging {
        /// Whether a stage is at work on it.
        busy: bool,
    },
    /// Something with a manifest that can't be read, and why.
    Damaged(String),
}

/// A folder of a run.
#[derive(Debug)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub state: State,
    /// Bytes of its files.
    pub bytes: u64,
}

impl Entry {
    /// Whether it is work that is not finished.
    pub fn is_work(&self) -> bool {
        matches!(self.state, State::Staging { .. }) && holds_work(&self.path)
    }

    /// Whether it is a finished artifact of kind `model`.
    pub fn is_model(&self) -> bool {
        matches!(&self.state, State::Done(manifest) if manifest.kind == "model")
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

/// The artifacts and staging folders of a run.
pub fn entries(run: &Path) -> Result<Vec<Entry>> {
    let found = folders(run)?.into_iter().filter_map(|path| {
        let manifest = path.join("manifest.json");
        let state = if name(&path).ends_with(".staging") && is_staging(&path) {
            State::Staging {
                busy: lock(&path).is_none(),
            }
        } else if manifest.is_file() {
            match std::fs::read(&manifest)
                .map_err(|e| e.to_string())
                .and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()))
            {
                Ok(manifest) => State::Done(manifest),
                Err(why) => State::Damaged(why),
            }
        } else {
            return None;
        };
        let bytes = size(&path);
        Some(Entry { path, state, bytes })
    });
    Ok(found.collect())
}

/// Whether a stage has begun this folder, whatever its name.
fn is_staging(path: &Path) -> bool {
    let ours = |name: &String| name.starts_with(".journal") || name == ".work.json";
    let names = names(path);
    names.is_empty() || names.iter().any(ours)
}

/// Whether a staging folder holds more than a stage's own notes.
pub fn holds_work(staging: &Path) -> bool {
    names(staging).iter().any(|name| !name.starts_with('.'))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| name(&entry.path())).collect()
}

/// Keeps stages from a staging folder as long as it is held; `None` where one is at work.
pub fn lock(staging: &Path) -> Option<Lock> {
    // It stands beside the output.
    let Ok(file) = File::open(staging.with_extension("lock")) else {
        return Some(Lock(None));
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        _ => Some(Lock(Some(file))),
    }
}

/// See [`lock`].
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Option<File>);

/// Bytes of all files below a path.
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

/// A size for people.
pub fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

pub fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut folders: Vec<PathBuf> = path
        .read_dir()
        .at(path)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    Ok(folders)
}
