//! What the layouts need to look at a folder.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Maximum number of names that are read of a folder below the root.
const NAMES: usize = 1000;

/// Number of bytes at a file's beginning that are looked at.
const BEGIN: u64 = 1 << 16;

/// The folder that a file is in, and the file's name; or the folder itself.
pub fn place(path: &Path) -> (PathBuf, Option<String>) {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.is_file(), path.parent(), name) {
        (true, Some(folder), Some(name)) => (folder.to_owned(), Some(name.to_owned())),
        _ => (path.to_owned(), None),
    }
}

/// The names of the files in `root`, and of the first ones in each folder in it, with `/`
/// and sorted; without hidden ones.
pub fn files(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for name in names(root, usize::MAX) {
        let path = root.join(&name);
        if path.is_dir() {
            let below = names(&path, NAMES).into_iter();
            let below = below.map(|file| format!("{name}/{file}"));
            files.extend(below.filter(|file| root.join(file).is_file()));
        } else {
            files.push(name);
        }
    }
    files
}

fn names(folder: &Path, count: usize) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let seen = names.filter(|name| !name.starts_with('.'));
    let mut names: Vec<String> = seen.take(count).collect();
    names.sort();
    names
}

/// The beginning of a file as text; empty if it can't be read.
pub fn begin(path: &Path) -> String {
    let mut bytes = Vec::new();
    let regular = path.is_file().then(|| File::open(path).ok()).flatten();
    let read = regular.map(|file| file.take(BEGIN).read_to_end(&mut bytes));
    match read {
        Some(Ok(_)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}
