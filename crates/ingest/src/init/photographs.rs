//! Finds the photographs of a data set, and their usual size.

use crate::annotations::Annotations;
use crate::archive::{Archive, is_archive};
use crate::reference::{Reference, State};
use crate::source::Source;
use attend_image::DecodeOptions;
use attend_program::{Result, check_interrupt};
use std::path::Path;
use std::sync::Arc;

/// The state of a photograph that is not there.
pub(super) const NOT_THERE: State = [-1; 3];

/// Number of photographs that are looked for in each folder, and opened for their size.
const SAMPLE: usize = 32;

/// Number of folders, and their depth below the root, that are looked at.
const FOLDERS: usize = 500;
const DEPTH: usize = 3;

/// Where photographs may be.
#[derive(Clone, Default)]
pub(super) struct Place {
    /// `dataset.image_dir`, if it has to be another one than the layout's.
    pub(super) folder: Option<String>,
    /// `dataset.follow_links`
    pub(super) follow_links: bool,
}

/// The places of the photographs: where the layout expects them if one of a sample is
/// there, or else the folders and archives below the root that hold most of them. If nothing
/// does, where the layout expects them.
pub(super) fn find(root: &Path, annotations: &Annotations, follow: bool) -> Result<Vec<Place>> {
    let listed = annotations.images.iter().map(|image| &image.photograph);
    let sample = sample(&listed.collect::<Vec<_>>());
    let expected = &annotations.folders;
    for follow_links in [follow, true] {
        if found(root, expected, &annotations.archives, follow_links, &sample)? > 0 {
            let folder = None;
            return Ok(vec![Place {
                folder,
                follow_links: follow_links && !follow,
            }]);
        }
        if expected.len() != 1 {
            continue;
        }
        let mut best = (1, Vec::new());
        for folder in folders(root) {
            check_interrupt()?;
            let count = found(
                root,
                std::slice::from_ref(&folder),
                &[],
                follow_links,
                &sample,
            )?;
            let place = Place {
                folder: Some(folder),
                follow_links: follow_links && !follow,
            };
            match count {
                count if count > best.0 => best = (count, vec![place]),
                count if count == best.0 => best.1.push(place),
                _ => (),
            }
        }
        if !best.1.is_empty() {
            return Ok(best.1);
        }
    }
    Ok(vec![Place::default()])
}

/// How many of the photographs are there.
fn found(
    root: &Path,
    folders: &[String],
    archives: &[Arc<Archive>],
    follow: bool,
    sample: &[Reference],
) -> Result<usize> {
    let source = Source::open(root, folders, archives, follow, sample)?;
    let there = sample.iter().filter(|one| source.state(one) != NOT_THERE);
    Ok(there.count())
}

/// Some of the photographs, evenly spread.
fn sample(all: &[&Reference]) -> Vec<Reference> {
    let step = all.len().div_ceil(SAMPLE).max(1);
    all.iter().step_by(step).map(|one| (*one).clone()).collect()
}

/// The folders and archives below `root`, those at the top first.
fn folders(root: &Path) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut level = vec![String::new()];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for parent in &level {
            let entries = root.join(parent).read_dir().into_iter().flatten().flatten();
            for entry in entries {
                let path = entry.path();
                let name = entry.file_name();
                let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                    continue;
                };
                let name = match parent.as_str() {
                    "" => name.to_owned(),
                    parent => format!("{parent}/{name}"),
                };
                if path.is_dir() {
                    next.push(name);
                } else if is_archive(&path) {
                    all.push(name);
                }
            }
        }
        next.sort();
        all.extend(next.iter().cloned());
        level = next;
        if all.len() > FOLDERS {
            break;
        }
    }
    all.truncate(FOLDERS);
    all
}

/// The median width and height of a sample of photographs.
pub(super) fn size(source: &Source, all: &[&Reference]) -> Result<Option<(u32, u32)>> {
    let options = DecodeOptions {
        fast: Some((1, 1)),
        ..DecodeOptions::default()
    };
    let (mut widths, mut heights) = (Vec::new(), Vec::new());
    for photograph in sample(all) {
        check_interrupt()?;
        let Ok(bytes) = source.read(&photograph) else {
            continue;
        };
        if let Ok(decoded) = attend_image::decode(&bytes, &options) {
            widths.push(decoded.full.0);
            heights.push(decoded.full.1);
        }
    }
    Ok(median(widths).zip(median(heights)))
}

fn median(mut numbers: Vec<u32>) -> Option<u32> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}
