//! The folder of a run: links to its artifacts in the store, configs and logs.
//!
//! | in it | what |
//! |---|---|
//! | `NAME` | link to the artifact that a stage has made for this run |
//! | `NAME.next` | link to the one that it is making now, or was when it was interrupted |
//! | `config/run.toml` | the run's parameters, as they were given |
//! | `config/pipeline.toml` | its stages |
//! | `config/STAGE.toml`, `STAGE.inputs.json` | the parameters that made the artifact that is there, and the files of its inputs |
//! | `config/STAGE.next.toml` | those of the one that is being made |
//! | `logs/STAGE.log` | link to the log of the stage |
//! | `lock.toml` | the digests to which `cargo xtask lock` has pinned it |

use crate::store::{Manifest, Store, beside};
use crate::workspace::link;
use attend_program::{At, Error, Result, say, whole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The file in a run's folder that holds its pipeline.
pub const PIPELINE: &str = "config/pipeline.toml";
/// The file that holds its parameters.
pub const CONFIG: &str = "config/run.toml";

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its path.
    pub folder: PathBuf,
    /// The store that its links lead to.
    pub store: Store,
}

/// The files of an input: name -> digest.
pub type Files = BTreeMap<String, String>;

impl Run {
    /// The run of this name in `artifacts`.
    pub fn of(artifacts: &Path, name: &str) -> Run {
        Run {
            folder: artifacts.join(name),
            store: Store::of(artifacts),
        }
    }

    /// The path of a stage's artifact in the run's folder.
    pub fn path(&self, output: &str) -> PathBuf {
        self.folder.join(output)
    }

    /// The place of the artifact that is there; also one that a link of the user's own
    /// leads to.
    pub fn place(&self, output: &str) -> Option<PathBuf> {
        Run::target(&self.path(output))
    }

    /// The place of the artifact that is being made, or was begun.
    pub fn next(&self, output: &str) -> Option<PathBuf> {
        Run::target(&beside(&self.path(output), ".next"))
    }

    /// Whether the user has made `output` a link to a place of his own.
    pub fn is_elsewhere(&self, output: &str) -> bool {
        (self.place(output)).is_some_and(|place| !self.store.holds(&place))
    }

    /// The place that a link leads to, or the folder itself; a link's target need not exist.
    pub fn target(path: &Path) -> Option<PathBuf> {
        match path.read_link() {
            Ok(target) => {
                let place = path.parent().unwrap_or(Path::new("")).join(&target);
                // `artifacts/RUN/../.store/X` is `artifacts/.store/X`, also if RUN is a link.
                let store = Path::new("..").join(crate::store::FOLDER);
                match (
                    target.strip_prefix(&store),
                    path.parent().and_then(Path::parent),
                ) {
                    (Ok(name), Some(artifacts)) => {
                        Some(artifacts.join(crate::store::FOLDER).join(name))
                    }
                    _ => Some(place),
                }
            }
            Err(_) => path.is_dir().then(|| path.to_owned()),
        }
    }

    /// A file in `config/`.
    pub fn config(&self, stage: &str, end: &str) -> PathBuf {
        self.folder.join(format!("config/{stage}{end}"))
    }

    /// Notes that a stage begins to make the artifact at `place`.
    pub fn begin(&self, output: &str, place: &Path) -> Result<()> {
        let next = beside(&self.path(output), ".next");
        if self.place(output).as_deref() == Some(place) || self.is_elsewhere(output) {
            return forget(&next);
        }
        link(&next, &self.relative(place))
    }

    /// Notes that the artifact at `place` is this run's.
    pub fn finish(&self, output: &str, place: &Path) -> Result<()> {
        if !self.is_elsewhere(output) {
            link(&self.path(output), &self.relative(place))?;
        }
        forget(&beside(&self.path(output), ".next"))
    }

    /// Makes the stage's log in the store appear in the run's folder.
    pub fn link_log(&self, stage: &str, log: &Path) -> Result<()> {
        let path = self.folder.join(format!("logs/{stage}.log"));
        let relative = Path::new("..").join(self.relative(log));
        match path.is_symlink() || !path.exists() {
            true => link(&path, &relative),
            false => Ok(()),
        }
    }

    /// A place in the store, from the run's folder.
    fn relative(&self, place: &Path) -> PathBuf {
        let name = place.file_name().unwrap_or_default();
        Path::new("..").join(crate::store::FOLDER).join(name)
    }

    /// Writes the files of a stage's inputs, so that it can be told later what has changed.
    pub fn write_inputs(&self, stage: &str, inputs: &BTreeMap<String, Files>) -> Result<()> {
        let text = serde_json::to_string(inputs).map_err(Error::internal)?;
        write_if_new(&self.config(stage, ".inputs.json"), &text)
    }

    /// The files of a stage's inputs when its artifact was made, as far as they are known.
    pub fn inputs(&self, stage: &str) -> BTreeMap<String, Files> {
        let text = std::fs::read(self.config(stage, ".inputs.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Locks a stage of the run, so that two runners don't run it at once. Waits, and says
    /// so. Tasks that make shards of one artifact share the lock.
    pub fn lock(&self, stage: &str, shared: bool) -> Result<File> {
        let path = self.config(stage, ".lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .at(&path)?;
        let tried = if shared {
            file.try_lock_shared()
        } else {
            file.try_lock()
        };
        if tried.is_err() {
            say!(
                "another runner runs {stage} of {}; waiting for it",
                self.folder.display()
            );
            let locked = if shared {
                file.lock_shared()
            } else {
                file.lock()
            };
            locked.at(&path)?;
        }
        Ok(file)
    }

    /// The digests that the run is pinned to, by stage.
    pub fn pinned(&self) -> Result<Option<Pinned>> {
        let path = self.folder.join(LOCK);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).at(&path)?;
        let pinned = toml::from_str(&text);
        pinned
            .map(Some)
            .map_err(|e| Error::usage(format!("{}: {}", path.display(), e.message())))
    }
}

/// The file that pins a run.
pub const LOCK: &str = "lock.toml";

/// Contents of [`LOCK`]: stage -> artifact.
pub type Pinned = BTreeMap<String, Pin>;

/// An artifact that a run is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its place in the store, which stands for parameters and inputs.
    pub place: String,
    /// Its digest.
    pub digest: String,
}

/// The files of an artifact, by name.
pub fn files(manifest: &Manifest) -> Files {
    let files = manifest.files.iter();
    files
        .map(|file| (file.name.clone(), file.blake3.clone()))
        .collect()
}

/// How the files of an input have changed: `3 shards, captions.parquet`.
pub fn changed(old: &Files, new: &Files) -> Option<String> {
    let names = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)));
    let names: Vec<&String> = names
        .filter(|name| old.get(*name) != new.get(*name))
        .collect();
    let (shards, others): (Vec<&String>, Vec<&String>) = names
        .into_iter()
        .partition(|name| name.starts_with("shards/"));
    let shards = match shards.len() {
        0 => None,
        1 => Some("1 shard".to_owned()),
        n => Some(format!("{n} shards")),
    };
    let others = match others.len() {
        0..=2 => others.into_iter().cloned().collect(),
        n => vec![format!("{n} files")],
    };
    let all: Vec<String> = shards.into_iter().chain(others).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn forget(link: &Path) -> Result<()> {
    match std::fs::remove_file(link) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at(link),
        _ => Ok(()),
    }
}

/// Writes a file, unless it has this content.
pub fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).at(folder)?;
    }
    whole::write_bytes(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_of_an_input_are_counted_and_named() {
        let files = |all: &[(&str, &str)]| -> Files {
            let all = all.iter();
            all.map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned()))
                .collect()
        };
        let old = files(&[("shards/a", "1"), ("shards/b", "1"), ("t", "1")]);
        let new = files(&[("shards/a", "2"), ("shards/c", "1"), ("t", "2")]);
        assert_eq!(changed(&old, &new).as_deref(), Some("3 shards, t"));
        assert_eq!(changed(&old, &old), None);
        let new = files(&[("shards/a", "1"), ("shards/b", "1"), ("t", "1"), ("u", "1")]);
        assert_eq!(changed(&old, &new).as_deref(), Some("u"));
    }
}
