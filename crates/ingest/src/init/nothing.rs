//! Says what a folder or file is if it is no data set.

use super::ways;
use crate::archive::{self, is_archive};
use crate::formats::look;
use crate::formats::samples::PHOTOGRAPHS;
use crate::sniff;
use attend_program::Error;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the layouts are described.
const PAGE: &str = "docs/data.md shows every layout with an example";

/// Number of names and folders below the root that are looked at.
const NAMES: usize = 100_000;

/// The error that says what is at `path`, and what is lacking.
pub(super) fn explain(path: &Path) -> Error {
    let what = match path.is_dir() {
        true => folder(path),
        false => file(path),
    };
    Error::input(format!("{}: {what}", path.display()))
}

fn file(path: &Path) -> String {
    if is_archive(path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let command = match name.to_ascii_lowercase().ends_with(".zip") {
            true => format!("unzip {name} -d {stem}"),
            false => format!("mkdir {stem} && tar -xf {name} -C {stem}"),
        };
        return format!(
            "an archive. Photographs may stay in it: give the folder that holds it and the captions. If the captions are in it as well, unpack it (`{command}`)"
        );
    }
    let kind = sniff::kind(look::begin(path).as_bytes());
    let kind = kind.unwrap_or_else(|| "not a list of captions that is known".to_owned());
    format!("{kind}; {PAGE}")
}

fn folder(path: &Path) -> String {
    let mut endings = BTreeMap::new();
    count(path, &mut endings);
    let total: usize = endings.values().sum();
    if total == 0 {
        return format!("an empty folder; a data set is photographs and their captions: {PAGE}");
    }
    if let Some(below) = data_set_below(path) {
        return format!("no data set itself, but {below} is one: give that with --data");
    }
    if let Some(hint) = archive::hint(path, "", false) {
        return format!("no data set, but {hint}");
    }
    let photographs: usize = (endings.iter())
        .filter(|(ending, _)| PHOTOGRAPHS.contains(&ending.as_str()))
        .map(|(_, count)| count)
        .sum();
    if photographs > 0 {
        return format!(
            "{photographs} photographs, but no captions that are known; write them to captions.csv (image,caption), or to NAME.txt beside each NAME.jpg: {PAGE}"
        );
    }
    let mut kinds: Vec<_> = endings.into_iter().collect();
    kinds.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    let kinds = kinds
        .iter()
        .take(5)
        .map(|(ending, count)| match ending.as_str() {
            "" => format!("{count} without an ending"),
            ending => format!("{count} .{ending}"),
        });
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    format!("{total} files ({kinds}), but no photographs and no captions that are known; {PAGE}")
}

/// Counts the files below a folder by their ending.
fn count(root: &Path, endings: &mut BTreeMap<String, usize>) {
    let (mut folders, mut seen) = (vec![root.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            seen += 1;
            if seen > NAMES {
                return;
            }
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                _ => {
                    let ending = path.extension().unwrap_or_default().to_string_lossy();
                    *endings.entry(ending.to_ascii_lowercase()).or_default() += 1;
                }
            }
        }
    }
}

/// A folder in `path` that is a data set.
fn data_set_below(path: &Path) -> Option<String> {
    let entries = path.read_dir().into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|it| it.is_dir())
        .collect();
    folders.sort();
    folders.truncate(100);
    let mut found = folders.iter();
    let found = found.find(|folder| ways::find(folder).is_ok_and(|ways| !ways.is_empty()))?;
    Some(found.display().to_string())
}
