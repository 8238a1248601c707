//! A folder of photographs, each with a text file of the same name beside it, one caption
//! per line ([`super::samples`]). Folders at the top may be splits: `train/`, `val/`,
//! `test/`.

use super::layout::Layout;
use super::samples::{self, Listed};
use super::splits;
use crate::annotations::Annotations;
use crate::archive::{Archive, is_archive, is_litter};
use crate::config::Section;
use crate::reference::Reference;
use attend_program::{Error, Result, check_interrupt, loose};
use std::path::Path;
use std::sync::Arc;
use walkdir::WalkDir;

/// The layout `folder`.
pub const LAYOUT: Layout = Layout {
    name: "folder",
    holds: "photographs, each with a .txt of the same name",
    look: |_| Ok(Vec::new()),
    read,
};

/// Lists the files below `dataset.image_dir`, or in the archive there, and reads the texts.
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let folder = match section.image_dir.as_str() {
        "" => root.to_owned(),
        folder => root.join(folder),
    };
    let mut all = Annotations {
        folders: vec![section.image_dir.clone()],
        ..Annotations::default()
    };
    let names = match is_archive(&folder) && folder.is_file() {
        true => in_archive(&folder, &mut all)?,
        false => below(&folder, section.follow_links)?,
    };
    // An archive may have all its files in one folder more.
    let inner = all.archives.first().map(|archive| archive.inner());
    let inner = inner.filter(|inner| splits::of_name(inner).is_none());
    let listed: Vec<Listed> = names
        .into_iter()
        .map(|name| Listed {
            split: split_of(&name, inner.as_deref().unwrap_or_default()),
            file: Reference { folder: 0, name },
        })
        .collect();
    samples::read(root, &listed, section.follow_links, &mut all)?;
    Ok(all)
}

/// The split that the top folder of a name says, or the one in the folder `inner`.
fn split_of(name: &str, inner: &str) -> Option<&'static str> {
    let below = name.strip_prefix(inner).unwrap_or(name);
    let (top, _) = below.trim_start_matches('/').split_once('/')?;
    splits::of_name(top)
}

/// The names in an archive, which is opened.
fn in_archive(path: &Path, all: &mut Annotations) -> Result<Vec<String>> {
    let archive = Archive::open(path)?;
    let names = archive.listed().into_iter();
    let names = names.filter(|name| samples::is_read(name));
    let names = names.map(str::to_owned).collect();
    all.archives.push(Arc::new(archive));
    Ok(names)
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
    let walk = WalkDir::new(folder).follow_links(follow_links);
    let walk = walk.sort_by_file_name().into_iter();
    let is_hidden = |name: &str| name.starts_with('.') || is_litter(name);
    for entry in walk.filter_entry(|entry| {
        entry.depth() == 0 || !is_hidden(&entry.file_name().to_string_lossy())
    }) {
        check_interrupt()?;
        let entry = entry.map_err(|e| {
            let way_out = "make it readable, or move it away";
            Error::input(format!("{}: {e}; {way_out}", folder.display()))
        })?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            loose::note(path);
            continue;
        }
        if entry.path_is_symlink() && !follow_links && path.is_dir() {
            let path = path.display();
            tracing::warn!("{path}: a link to a folder is not followed (dataset.follow_links)");
            continue;
        }
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
        if samples::is_read(&name) {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}
