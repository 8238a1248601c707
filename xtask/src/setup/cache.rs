//! The cache of a machine: every checkout uses what was downloaded once.

use attend_program::{At, Error, Result, say};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of finished trees (`libtorch-2.11.0-linux-x86_64`, …) and, while
/// they are being made, of downloads.
pub struct Cache {
    /// The folder itself.
    pub root: PathBuf,
}

impl Cache {
    /// `ATTEND_CACHE`, else `attend` in `XDG_CACHE_HOME`, else in `~/.cache`.
    pub fn locate() -> Result<Cache> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = set("ATTEND_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("attend")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/attend")))
            .ok_or_else(|| {
                Error::internal("no folder for downloads is known: set ATTEND_CACHE to one")
            })?;
        Ok(Cache {
            root: std::path::absolute(&root).at(&root)?,
        })
    }

    /// Waits for other set-ups, and keeps them waiting until the file is dropped or the
    /// process ends in any way.
    pub fn lock(&self) -> Result<File> {
        std::fs::create_dir_all(&self.root).map_err(|e| {
            Error::internal(format!(
                "{}: can't make the cache folder ({e}); set ATTEND_CACHE to another place",
                self.root.display()
            ))
        })?;
        let path = self.root.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .at(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say!(
                    "another set-up is at work on {}; waiting for it",
                    self.root.display()
                );
                file.lock().at(&path)?;
            }
            Err(TryLockError::Error(e)) => say!(
                "{}: can't lock ({e}); continuing without a lock",
                path.display()
            ),
        }
        Ok(file)
    }

    /// The folder of downloaded files.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// The tree `name`. If it does not exist yet, `make` fills a folder that is renamed
    /// once it is complete, so that a tree is whole or not there at all.
    pub fn tree(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let tree = self.root.join(name);
        if tree.exists() {
            return Ok(tree);
        }
        let part = self.root.join(format!("{name}.part"));
        remove(&part)?;
        std::fs::create_dir_all(&part).at(&part)?;
        match make(&part).and_then(|()| std::fs::rename(&part, &tree).at(&tree)) {
            Ok(()) => Ok(tree),
            Err(e) => {
                let _ = remove(&part);
                Err(e)
            }
        }
    }

    /// Refuses if the disk has less than `megabytes` MB left for `what`.
    pub fn require_room(&self, what: &str, megabytes: u64) -> Result<()> {
        match free_megabytes(&self.root) {
            Some(free) if free < megabytes => Err(Error::internal(format!(
                "{what} needs {megabytes} MB in {}, where {free} MB are left; make room there or set ATTEND_CACHE to another place",
                self.root.display()
            ))),
            _ => Ok(()),
        }
    }
}

/// Removes a file or folder, if it exists.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    };
    removed.at(path)
}

/// Free space on the disk of `path` (or of the nearest existing folder above it), in MB,
/// according to `df`.
pub fn free_megabytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|p| p.exists())?;
    let output = Command::new("df").arg("-Pk").arg(there).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    parse_df(&text)
}

fn parse_df(text: &str) -> Option<u64> {
    let kilobytes: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kilobytes * 1024 / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn df_is_understood() {
        let text = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda         264212084 22761872  72524016      24% /\n";
        assert_eq!(parse_df(text), Some(74_264));
        assert_eq!(parse_df("df: no such file"), None);
    }

    #[test]
    fn a_tree_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache {
            root: folder.path().to_owned(),
        };
        let failed = cache.tree("t", |part| {
            std::fs::write(part.join("a"), "half").unwrap();
            Err(Error::internal("disk full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);

        std::fs::create_dir(folder.path().join("t.part")).unwrap();
        std::fs::write(folder.path().join("t.part/left-over"), "by a kill").unwrap();
        let tree = cache
            .tree("t", |part| std::fs::write(part.join("a"), "whole").at(part))
            .unwrap();
        let names: Vec<_> = tree
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["a"]);
        cache
            .tree("t", |_| panic!("must not be made twice"))
            .unwrap();
    }
}
