//! The store: every artifact once, whichever runs ask for it.
//!
//! An artifact lies in `artifacts/.store/KIND-KEY`; its staging folder, lock and log lie
//! beside it. The key is a hash of what is known before a stage runs: its program and
//! version, the parameters that shape its output, the paths that it is given, and the
//! digests of its inputs ([`Request`]). So twenty runs that differ in `train.seed` alone
//! share one data set, one vocabulary and one set of features. The content of loose files
//! is not in the key: when photographs change, their stage makes the artifact again in the
//! same place, shard by shard.
//!
//! A run has links to artifacts ([`mod@crate::run`]). They are relative, and no file in the
//! store holds a path to it, so that `mv`, `cp -r` and `rsync -a` of the artifacts folder
//! change nothing.
//!
//! - `manifest`: the runner's view of a manifest; `request`: the key; `state`: what is at a
//!   place; `adopt`: folders of before the store; `carry`: artifacts that a stage goes on
//!   from; `needed`: which artifacts the runs need.

mod adopt;
mod carry;
mod manifest;
mod needed;
mod request;
mod state;

pub use adopt::adopt;
pub use carry::carry;
pub use manifest::Manifest;
pub use needed::{Unneeded, needed, parts, unneeded};
pub use request::Request;
pub use state::{State, is_busy, look, staging};

use attend_program::{At, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The folder of the store in the artifacts folder.
pub const FOLDER: &str = ".store";

/// The store of an artifacts folder.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its folder.
    pub root: PathBuf,
}

impl Store {
    /// The store in `artifacts`.
    pub fn of(artifacts: &Path) -> Store {
        Store {
            root: artifacts.join(FOLDER),
        }
    }

    /// The place of the artifact that a request asks for.
    pub fn place(&self, request: &Request) -> PathBuf {
        self.root.join(request.name())
    }

    /// Locks the store while folders are moved or copied into it, so that two runners don't
    /// move or copy to one place.
    fn lock(&self) -> Result<File> {
        std::fs::create_dir_all(&self.root).at(&self.root)?;
        let path = self.root.join(".lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.at(&path)?;
        file.lock().at(&path)?;
        Ok(file)
    }

    /// Whether a path is directly in the store.
    pub fn holds(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        path.parent().is_some_and(|parent| {
            parent == self.root || (real(parent).is_some() && real(parent) == real(&self.root))
        })
    }

    /// The places in the store, whether finished or only begun, by name.
    pub fn places(&self) -> Result<Vec<PathBuf>> {
        if !self.root.exists() {
            return Ok(Vec::new());
        }
        let mut places: Vec<PathBuf> = Vec::new();
        for entry in self.root.read_dir().at(&self.root)?.flatten() {
            let path = entry.path();
            let name = crate::folders::name(&path);
            if name.starts_with('.') {
                continue;
            }
            let stem = [".staging", ".part", ".carried", ".lock", ".log", ".out"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            places.push(self.root.join(stem.unwrap_or(&name)));
        }
        places.sort();
        places.dedup();
        Ok(places)
    }
}

/// The path `NAMEsuffix` beside `NAME`.
pub fn beside(place: &Path, suffix: &str) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    place.with_file_name(name)
}

/// The end of the name of a mark beside a place: what lies there is a copy of another
/// artifact, from which the stage is to go on.
const CARRIED: &str = ".carried";

/// Whether what lies at `place` is such a copy.
pub fn is_carried(place: &Path) -> bool {
    beside(place, CARRIED).exists()
}

/// Notes that the stage has made the artifact at `place`.
pub fn made(place: &Path) -> Result<()> {
    match std::fs::remove_file(beside(place, CARRIED)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at(place),
        _ => Ok(()),
    }
}
