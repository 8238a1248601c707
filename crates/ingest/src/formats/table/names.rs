//! Where a table's photographs are: in which folder, and by which names.
//!
//! Tables name photographs by their path, or by a key: the file's name without its folder
//! or its extension (`airport_1` for `airport/airport_1.jpg`).

use super::delimited::is_photograph;
use crate::name::plain;
use attend_program::loose;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Number of first names by which the folder is found.
const SAMPLE: usize = 20;

/// The folder of a table's photographs, and their names below it.
pub struct Names {
    /// The folder below the root.
    pub folder: String,
    /// Where the folder is.
    place: PathBuf,
    /// The paths of files by key, if the table names them by keys; those of several files
    /// are `None`.
    keys: Option<HashMap<String, Option<String>>>,
}

impl Names {
    /// Finds the photographs that a table calls `names`. They are in the first of `folders`
    /// below `root` that has one of the first few, by path, or else by key; the first
    /// folder if none has.
    pub fn find<'a>(root: &Path, folders: &[&str], names: impl Iterator<Item = &'a str>) -> Names {
        let sample: Vec<String> = names.take(SAMPLE).map(str::to_owned).collect();
        let at = |folder: &&str| Names {
            folder: (*folder).to_owned(),
            place: root.join(folder),
            keys: None,
        };
        let there = |found: &Names| {
            let mut names = sample.iter().filter_map(|name| found.below(name));
            names.any(|name| found.place.join(name).is_file())
        };
        let by_path = folders.iter().map(at).find(there);
        by_path.unwrap_or_else(|| {
            let keyed = folders.iter().map(at).map(|mut found| {
                found.keys = Some(keys_below(&found.place));
                found
            });
            let has = |found: &Names| sample.iter().any(|name| found.by_key(name).is_some());
            let keyed: Vec<Names> = keyed.filter(has).take(1).collect();
            let first = || at(folders.first().unwrap_or(&""));
            keyed.into_iter().next().unwrap_or_else(first)
        })
    }

    /// The name below the folder of the photograph that the table calls `name`. It stays as
    /// it is if there is none, or there are several.
    pub fn resolve(&self, name: &str) -> String {
        let found = match self.keys {
            Some(_) => self.by_key(name),
            None => self.below(name),
        };
        found.unwrap_or_else(|| name.to_owned())
    }

    /// Whether the photograph that the table calls `name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.place.join(self.resolve(name)).is_file()
    }

    /// A path below the folder; also for an absolute one, and with Windows's separators.
    fn below(&self, name: &str) -> Option<String> {
        let name = match name.contains('/') {
            true => name.to_owned(),
            false => name.replace('\\', "/"),
        };
        if name.starts_with('/') {
            let place = self.place.canonicalize().ok()?;
            let inner = Path::new(&name).strip_prefix(&place);
            return inner
                .or_else(|_| Path::new(&name).strip_prefix(&self.place))
                .ok()?
                .to_str()
                .and_then(plain);
        }
        plain(&name)
    }

    fn by_key(&self, name: &str) -> Option<String> {
        let name = name.replace('\\', "/");
        let key = name.rsplit('/').next().unwrap_or(&name);
        self.keys.as_ref()?.get(key)?.clone()
    }
}

/// The files in all folders below one, by their names with and without extension.
fn keys_below(folder: &Path) -> HashMap<String, Option<String>> {
    let mut keys: HashMap<String, Option<String>> = HashMap::new();
    let hidden = |entry: &DirEntry| {
        entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
    };
    let entries = WalkDir::new(folder)
        .into_iter()
        .filter_entry(|entry| !hidden(entry));
    for entry in entries.flatten() {
        if entry.file_type().is_dir() {
            loose::note(entry.path());
            continue;
        }
        let path = entry
            .path()
            .strip_prefix(folder)
            .ok()
            .and_then(Path::to_str);
        let Some(path) = path.filter(|path| is_photograph(path)) else {
            continue;
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        for key in [name, stem] {
            let known = keys
                .entry(key.to_owned())
                .or_insert_with(|| Some(path.to_owned()));
            if known.as_deref() != Some(path) {
                *known = None;
            }
        }
    }
    keys
}
