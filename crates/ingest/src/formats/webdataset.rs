//! WebDataset: tars of samples, `KEY.jpg` with `KEY.txt`, `KEY.json` or `KEY.caption`
//! ([`super::samples`]), as img2dataset writes them. The names of the tars may say the
//! splits: `train-00000.tar`, `val/00000.tar`.

use super::layout::{Layout, Reading};
use super::look;
use super::samples::{self, Listed};
use super::splits;
use crate::annotations::Annotations;
use crate::archive::{Archive, is_archive};
use crate::config::Section;
use attend_program::{Error, Result, check_interrupt, glob};
use std::path::Path;

/// The layout `webdataset`.
pub const LAYOUT: Layout = Layout {
    name: "webdataset",
    holds: "tars of samples (dataset.annotations: \"{00000..00099}.tar\")",
    look,
    read,
};

/// A reading if the first tar has photographs with texts.
fn look(path: &Path) -> Result<Vec<Reading>> {
    let (root, file) = look::place(path);
    let names = file.map_or_else(|| look::files(&root), |file| vec![file]);
    let is_tar = |name: &String| name.to_lowercase().ends_with(".tar");
    let tars: Vec<String> = names.into_iter().filter(is_tar).collect();
    let archive = tars.first().map(|tar| Archive::open(&root.join(tar)));
    let Some(archive) = archive.and_then(Result::ok) else {
        return Ok(Vec::new());
    };
    check_interrupt()?;
    let (photographs, pairs) = samples::pairs(archive.listed());
    let pattern = match tars.as_slice() {
        [one] => one.clone(),
        several if several.iter().any(|name| name.contains('/')) => "**/*.tar".to_owned(),
        _ => "*.tar".to_owned(),
    };
    let mut members = archive.listed().into_iter();
    let has_splits = tars.iter().any(|tar| splits::of_path(tar).is_some())
        || members.any(|name| split_of(name).is_some());
    let mut settings = splits::settings(has_splits);
    settings.insert(0, ("annotations", pattern.into()));
    let reading = Reading {
        what: format!(
            "{} tars of WebDataset's ({pairs} of {photographs} photographs in {} have a text)",
            tars.len(),
            tars.first().map_or("", String::as_str)
        ),
        root,
        settings,
    };
    Ok((pairs > 0).then_some(reading).into_iter().collect())
}

/// The split that the top folder in a tar says.
fn split_of(member: &str) -> Option<&'static str> {
    splits::of_name(member.split_once('/')?.0)
}

/// Reads the names and texts in the tars `dataset.annotations`, or in all tars below the
/// root if that is not set.
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let mut reader = samples::Reader::new(root, section.follow_links);
    for tar in tars(root, section)? {
        check_interrupt()?;
        let archive = Archive::open(&match tar.as_str() {
            "" => root.to_owned(),
            tar => root.join(tar),
        })?;
        let split = splits::of_path(&tar);
        let names = archive
            .listed()
            .into_iter()
            .filter(|name| samples::is_read(name));
        let listed: Vec<Listed> = names
            .map(|name| Listed {
                name: name.to_owned(),
                split: split.or_else(|| split_of(name)),
            })
            .collect();
        reader.folder(tar, Some(archive), &listed)?;
    }
    Ok(reader.finish())
}

/// The names of the tars below the root; the empty name if the root is one.
fn tars(root: &Path, section: &Section) -> Result<Vec<String>> {
    if root.is_file() {
        return Ok(vec![String::new()]);
    }
    let default = Section::default().annotations;
    let pattern = match section.annotations.as_str() {
        "" => "**/*.tar",
        pattern if pattern == default => "**/*.tar",
        pattern => pattern,
    };
    let mut names = glob::expand(root, pattern)?;
    let found = names.first().cloned().unwrap_or_default();
    // img2dataset writes a Parquet file and statistics beside each tar.
    names.retain(|name| is_archive(name.as_ref()));
    match names.is_empty() {
        false => Ok(names),
        true => Err(Error::input(format!(
            "{}: is no .tar (dataset.annotations = {pattern:?})",
            root.join(found).display()
        ))),
    }
}
