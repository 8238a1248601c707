//! A folder of photographs, each with a text file of the same name beside it, one caption
//! per line ([`super::samples`]). Folders at the top may be splits: `train/`, `val/`,
//! `test/`.

use super::layout::{Layout, Reading};
use super::look;
use super::samples::{self, Listed};
use super::splits;
use crate::annotations::Annotations;
use crate::archive::{Archive, is_archive, is_litter};
use crate::config::Section;
use attend_program::{Error, Result, check_interrupt, loose};
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

/// The layout `folder`.
pub const LAYOUT: Layout = Layout {
    name: "folder",
    holds: "photographs, each with a .txt of the same name",
    look,
    read,
};

/// Number of files by which a folder is judged.
const LOOKED_AT: usize = 2000;

/// A reading if some photographs have a text of the same name; without one in a folder itself,
/// those of the archives in it.
fn look(path: &Path) -> Result<Vec<Reading>> {
    check_interrupt()?;
    if !path.is_dir() {
        // A tar of samples is WebDataset's.
        let is_ours = is_archive(path) && path.extension() != Some("tar".as_ref());
        let archive = is_ours.then(|| Archive::open(path).ok()).flatten();
        let names = archive.as_ref().map(in_archive).unwrap_or_default();
        return Ok(reading(path, &names).into_iter().collect());
    }
    // A JSON must have captions.
    let is_text = |name: &String| {
        !name.to_lowercase().ends_with(".json")
            || look::begin(&path.join(name)).contains("\"caption")
    };
    let names = walk(path, false).filter_map(|entry| entry.ok()?.1);
    let names: Vec<String> = names.take(LOOKED_AT).filter(is_text).collect();
    if let Some(found) = reading(path, &names) {
        return Ok(vec![found]);
    }
    let files = look::files(path).into_iter();
    let inner = files.filter(|name| !name.contains('/') && is_archive(name.as_ref()));
    let mut readings = Vec::new();
    for archive in inner {
        for mut found in look(&path.join(&archive))? {
            found.what += &format!(" in {archive}");
            found.root = path.to_owned();
            found.settings.push(("image_dir", archive.clone().into()));
            readings.push(found);
        }
    }
    Ok(readings)
}

/// The reading of a folder or archive with files of these names, if there are pairs.
fn reading(root: &Path, names: &[String]) -> Option<Reading> {
    let (photographs, pairs) = samples::pairs(names.iter().map(String::as_str));
    let has_splits = names.iter().any(|name| split_of(name, "").is_some());
    (pairs > 0).then(|| Reading {
        what: format!(
            "photographs with a text of the same name beside them ({pairs} of {photographs} that were looked at)"
        ),
        root: root.to_owned(),
        settings: splits::settings(has_splits),
    })
}

/// Lists the files below `dataset.image_dir`, or in the archive there, and reads the texts.
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let folder = match section.image_dir.as_str() {
        "" => root.to_owned(),
        folder => root.join(folder),
    };
    let archive = match is_archive(&folder) && folder.is_file() {
        true => Some(Archive::open(&folder)?),
        false => None,
    };
    let names = match &archive {
        Some(archive) => in_archive(archive),
        None => below(&folder, section.follow_links)?,
    };
    // All files of an archive may be in a folder that is no split.
    let inner = archive.as_ref().map(Archive::inner).unwrap_or_default();
    let inner = inner
        .split('/')
        .take_while(|part| splits::of_name(part).is_none());
    let inner = inner.collect::<Vec<_>>().join("/");
    let listed: Vec<Listed> = names
        .into_iter()
        .map(|name| Listed {
            split: split_of(&name, &inner),
            name,
        })
        .collect();
    let mut reader = samples::Reader::new(root, section.follow_links);
    reader.folder(section.image_dir.clone(), archive, &listed)?;
    Ok(reader.finish())
}

/// The split that the top folder of a name says, or the one in the folder `inner`.
fn split_of(name: &str, inner: &str) -> Option<&'static str> {
    let below = name.strip_prefix(inner).unwrap_or(name);
    let (top, _) = below.trim_start_matches('/').split_once('/')?;
    splits::of_name(top)
}

/// The names of the files in an archive that are read.
fn in_archive(archive: &Archive) -> Vec<String> {
    let names = archive.listed().into_iter();
    let names = names.filter(|name| samples::is_read(name));
    names.map(str::to_owned).collect()
}

/// The names below a folder, sorted; hidden files and folders are not looked at.
fn below(folder: &Path, follow_links: bool) -> Result<Vec<String>> {
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Error::input(format!(
            "{folder}: no such folder (dataset.root, dataset.image_dir)"
        )));
    }
    let mut names = Vec::new();
    for entry in walk(folder, follow_links) {
        check_interrupt()?;
        let (entry, name) = entry.map_err(|e| {
            let way_out = "make it readable, or move it away";
            Error::input(format!("{}: {e}; {way_out}", folder.display()))
        })?;
        if entry.file_type().is_dir() {
            loose::note(entry.path());
        } else if entry.path_is_symlink() && entry.path().is_dir() {
            let path = entry.path().display();
            tracing::warn!("{path}: a link to a folder is not followed (dataset.follow_links)");
        }
        names.extend(name);
    }
    Ok(names)
}

/// What is below a folder, with the name of each file that is read.
fn walk(
    folder: &Path,
    follow_links: bool,
) -> impl Iterator<Item = walkdir::Result<(DirEntry, Option<String>)>> {
    let is_hidden = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() > 0 && (name.starts_with('.') || is_litter(&name))
    };
    let walk = WalkDir::new(folder).follow_links(follow_links);
    let entries = walk.sort_by_file_name().into_iter();
    entries
        .filter_entry(move |entry| !is_hidden(entry))
        .map(move |entry| {
            let entry = entry?;
            let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let name = path.to_string_lossy().into_owned();
            let read = !entry.file_type().is_dir() && samples::is_read(&name);
            Ok((entry, read.then_some(name)))
        })
}
