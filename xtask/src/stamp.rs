//! Remembers from which sources programs were built: cargo takes a third of a second to
//! find out that nothing has changed, a look at the times of the sources takes two
//! milliseconds.

use crate::workspace::Workspace;
use attend_program::loose::State;
use attend_program::text::hex;
use attend_program::{At, Error, Result, whole};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Programs by name.
type Built = BTreeMap<String, PathBuf>;

/// The file that remembers the last build of a profile, in cargo's target folder.
pub struct Stamp {
    root: PathBuf,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Content {
    sources: String,
    /// Program -> its file, size and time.
    programs: BTreeMap<String, (PathBuf, u64, i64)>,
}

impl Stamp {
    /// The stamp of a profile.
    pub fn of(workspace: &Workspace, profile: &str) -> Stamp {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| "target".into());
        Stamp {
            root: workspace.root.clone(),
            path: (workspace.root.join(target)).join(format!(".attend-{profile}.json")),
        }
    }

    /// The programs of the last build, if they are still there and, with `current`, if the
    /// sources are those that they were built from.
    pub fn read(&self, current: bool) -> Option<Built> {
        let content: Content = serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()?;
        if current && content.sources != self.sources() {
            return None;
        }
        let programs = content.programs.into_iter();
        programs
            .map(|(name, (path, bytes, time))| {
                (State::at(&path) == State::File(bytes, time)).then_some((name, path))
            })
            .collect()
    }

    /// Remembers a build.
    pub fn write(&self, built: &Built) -> Result<()> {
        let programs = built
            .iter()
            .filter_map(|(name, path)| match State::at(path) {
                State::File(bytes, time) => Some((name.clone(), (path.clone(), bytes, time))),
                _ => None,
            });
        let content = Content {
            sources: self.sources(),
            programs: programs.collect(),
        };
        let text = serde_json::to_string(&content).map_err(Error::internal)?;
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).at(folder)?;
        }
        whole::write_bytes(&self.path, text)
    }

    /// A hash of what a build depends on: names, sizes and times of the sources, and the
    /// environment.
    fn sources(&self) -> String {
        let mut files = Vec::new();
        for name in ["Cargo.toml", "Cargo.lock", ".cargo", "crates"] {
            walk(&self.root.join(name), &mut files);
        }
        files.sort();
        let mut hash = Sha256::new();
        for (path, state) in files {
            hash.update(format!("{} {state}\n", path.display()));
        }
        for name in [
            "LIBTORCH",
            "LIBTORCH_USE_PYTORCH",
            "RUSTFLAGS",
            "CMAKE",
            "CC",
            "RUSTC",
        ] {
            hash.update(format!("{name} {:?}\n", std::env::var_os(name)));
        }
        hex(hash.finalize())
    }
}

fn walk(path: &Path, files: &mut Vec<(PathBuf, String)>) {
    match State::at(path) {
        State::Folder(_) => {
            for entry in path.read_dir().into_iter().flatten().flatten() {
                walk(&entry.path(), files);
            }
        }
        state => files.push((path.to_owned(), format!("{state:?}"))),
    }
}
