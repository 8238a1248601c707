//! Reads the artifacts folder: runs, and the artifacts and staging folders in them.

use attend_program::{At, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The part of a manifest that the runner uses.
#[derive(Debug, Deserialize)]
pub struct ManifestSummary {
    /// Kind of the artifact.
    pub kind: String,
    /// Its digest.
    pub digest: String,
    /// Its counts, such as the number of images, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

/// The state of a folder in a run.
#[derive(Debug)]
pub enum FolderState {
    /// A finished artifact.
    Done(ManifestSummary),
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
    /// Its path.
    pub path: PathBuf,
    /// Its state.
    pub state: FolderState,
    /// Size of all its files, in bytes.
    pub bytes: u64,
}

impl Entry {
    /// Whether it is a staging folder with unfinished work in it.
    pub fn is_work(&self) -> bool {
        matches!(self.state, FolderState::Staging { .. }) && holds_work(&self.path)
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

/// The artifacts and staging folders of a run.
pub fn entries(run: &Path) -> Result<Vec<Entry>> {
    let found = folders(run)?.into_iter().filter_map(|path| {
        let manifest = path.join("manifest.json");
        let state = if name(&path).ends_with(".staging") && is_staging(&path) {
            FolderState::Staging {
                busy: lock(&path).is_none(),
            }
        } else if manifest.is_file() {
            match std::fs::read(&manifest)
                .map_err(|e| e.to_string())
                .and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()))
            {
                Ok(manifest) => FolderState::Done(manifest),
                Err(why) => FolderState::Damaged(why),
            }
        } else {
            return None;
        };
        let bytes = size(&path);
        Some(Entry { path, state, bytes })
    });
    Ok(found.collect())
}

/// Whether a stage made this folder: its name alone does not say so.
fn is_staging(path: &Path) -> bool {
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

/// A size in a readable unit: B, kB, MB or GB.
pub fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Last component of a path.
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
