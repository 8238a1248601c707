//! Which artifacts of the store the runs need.

use super::{Store, beside, staging};
use crate::folders::{children, folders, holds_work, name, size};
use attend_program::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Place in the store -> the runs that have a link to it, finished or begun.
pub fn needed(artifacts: &Path) -> Result<BTreeMap<PathBuf, BTreeSet<String>>> {
    let store = Store::of(artifacts);
    let mut needed: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for run in folders(artifacts)? {
        for link in children(&run)? {
            // By name, because the target of a link may not be there yet.
            let target = link.read_link().ok();
            let inside = target.as_deref().and_then(Path::parent);
            if inside.is_some_and(|folder| folder.ends_with(super::FOLDER))
                && let Some(target) = target
            {
                let place = store.root.join(name(&target));
                needed.entry(place).or_default().insert(name(&run));
            }
        }
    }
    Ok(needed)
}

/// An artifact that no run needs, finished or begun.
#[derive(Debug)]
pub struct Unneeded {
    /// Its place.
    pub place: PathBuf,
    /// Its size with what lies beside it, in bytes.
    pub bytes: u64,
    /// Whether it is unfinished work, which its stage would continue.
    pub is_work: bool,
}

/// The artifacts in the store that no run needs.
pub fn unneeded(store: &Store, artifacts: &Path) -> Result<Vec<Unneeded>> {
    let needed = needed(artifacts)?;
    let places = store.places()?.into_iter();
    let places = places.filter(|place| !needed.contains_key(place));
    Ok(places
        .map(|place| Unneeded {
            bytes: parts(&place).iter().map(|path| size(path)).sum(),
            is_work: holds_work(&staging(&place)),
            place,
        })
        .collect())
}

/// An artifact and what lies beside it: staging folder, log, lock.
pub fn parts(place: &Path) -> Vec<PathBuf> {
    let ends = ["", ".staging", ".part", ".carried", ".log", ".out", ".lock"];
    let parts = ends.map(|end| beside(place, end));
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    parts.into_iter().filter(there).collect()
}
