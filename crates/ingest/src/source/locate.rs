//! Finds the folder of a photograph, or the archive or column of bytes in its place.

use super::loose::{missing, names_in, outside, similar};
use super::place::Place;
use crate::archive::{Archive, hint, is_archive};
use crate::name::{folded, plain};
use crate::parquet_file::{Photographs, column_at};
use crate::reference::Refusal;
use attend_program::{Error, Result, loose};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// An archive, or why it can't be read.
type Opened = Result<Arc<Archive>, String>;

/// Finds places, and opens each archive once.
pub(super) struct Finder {
    /// `dataset.follow_links`.
    follow_links: bool,
    archives: Vec<(PathBuf, Opened)>,
    /// Archives whose names the layout has read, by path.
    read: HashMap<PathBuf, Arc<Archive>>,
}

impl Finder {
    pub(super) fn new(follow_links: bool, read: &[Arc<Archive>]) -> Finder {
        let read = read.iter();
        Finder {
            follow_links,
            archives: Vec::new(),
            read: read
                .map(|archive| (archive.path().to_owned(), archive.clone()))
                .collect(),
        }
    }

    /// Finds the folder `folder/below`, or the archive in its place. `folder` is trusted
    /// and must exist; `below` is not trusted.
    pub(super) fn find(&mut self, folder: &Path, below: &str) -> Result<Place> {
        let Some(below) = plain(below) else {
            return Ok(Place::Nowhere(outside()));
        };
        if let Some(archive) = self.read.get(folder) {
            return Ok(Place::Archive {
                archive: archive.clone(),
                prefixes: vec![below],
            });
        }
        if folder.is_dir() {
            loose::note(folder);
            let root = folder.canonicalize().ok().filter(|_| !self.follow_links);
            return self.locate(&folder.join(&below), root.as_deref(), false);
        }
        if let Some((file, column)) = column_at(folder) {
            return Ok(match Photographs::open(&file, &column) {
                Ok(photographs) => Place::Rows(Arc::new(photographs)),
                Err(why) => Place::Broken(format!("{}: {why}", file.display())),
            });
        }
        Ok(match self.locate(folder, None, true)? {
            Place::Archive { archive, prefixes } => {
                let mut held = prefixes;
                held.retain(|prefix| archive.holds(prefix));
                match held.is_empty() {
                    false => Place::Archive {
                        archive,
                        prefixes: held.iter().map(|prefix| joined(prefix, &below)).collect(),
                    },
                    true => Place::Broken(format!(
                        "{}: {} has no such folder; it has {} (dataset.image_dir)",
                        folder.display(),
                        archive.path().display(),
                        archive.top()
                    )),
                }
            }
            Place::Nowhere(_) => Place::Broken(nothing_at(folder)),
            found => found,
        })
    }

    /// The folder at `path`, or the archive in its place or in that of a parent folder.
    /// No link may lead out of `root`. `named`: the config names `path`, so that a broken
    /// archive that may hold it is worth an error.
    fn locate(&mut self, path: &Path, root: Option<&Path>, named: bool) -> Result<Place> {
        let Some(folder) = path.ancestors().find(|folder| is_folder(folder)) else {
            return Ok(Place::Nowhere(missing()));
        };
        let rest = path.strip_prefix(folder).unwrap_or(Path::new(""));
        let rest = rest.to_str().and_then(plain);
        let (Some(rest), Ok(at)) = (rest, real(folder).canonicalize()) else {
            return Ok(Place::Nowhere(missing()));
        };
        let inside = |path: &Path| root.is_none_or(|root| path.starts_with(root));
        if rest.is_empty() {
            return Ok(match inside(&at) {
                true => {
                    loose::note(&at);
                    Place::Folder {
                        path: at,
                        root: root.map(Path::to_owned),
                        names: OnceLock::new(),
                    }
                }
                false => Place::Nowhere(outside()),
            });
        }
        let (first, within) = rest.split_once('/').unwrap_or((&rest, ""));
        if let Some(path) = archive_at(&real(folder).join(first)) {
            let path = path.canonicalize().unwrap_or(path);
            if !inside(&path) {
                return Ok(Place::Nowhere(outside()));
            }
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            return Ok(match self.archive(&path)? {
                Ok(archive) => Place::Archive {
                    prefixes: [&stem, "", &*archive.inner()]
                        .map(|prefix| joined(prefix, within))
                        .into(),
                    archive,
                },
                Err(why) => Place::Broken(why),
            });
        }
        if !inside(&at) {
            return Ok(Place::Nowhere(outside()));
        }
        let root = (!self.follow_links).then(|| root.unwrap_or(&at));
        self.holding(&at, &rest, root, named)
    }

    /// The archive in `folder` that holds the folder `rest`, whatever the archive's name.
    /// No link may lead to it out of `root`.
    fn holding(
        &mut self,
        folder: &Path,
        rest: &str,
        root: Option<&Path>,
        named: bool,
    ) -> Result<Place> {
        let (mut found, mut broken) = (Vec::<Arc<Archive>>::new(), None);
        let real = archives_in(folder).into_iter();
        let real = real.filter_map(|path| path.canonicalize().ok());
        for path in real.filter(|path| root.is_none_or(|root| path.starts_with(root))) {
            match self.archive(&path)? {
                Ok(archive) if archive.holds(rest) => found.push(archive),
                // The broken archive may hold the folder.
                Err(why) if named => broken = Some(why),
                _ => {}
            }
        }
        found.dedup_by(|a, b| Arc::ptr_eq(a, b));
        Ok(match (found.as_slice(), broken) {
            ([archive], _) => Place::Archive {
                archive: archive.clone(),
                prefixes: vec![rest.to_owned()],
            },
            ([one, other, ..], _) => Place::Broken(format!(
                "{}: {rest} is in it, and in {} as well; move one away, or name the other in dataset.image_dir",
                one.path().display(),
                other.path().display()
            )),
            ([], Some(why)) => Place::Broken(why),
            ([], None) => Place::Nowhere(lacking(folder, rest)),
        })
    }

    /// The archive at `path`, opened once; or why it can't be read.
    fn archive(&mut self, path: &Path) -> Result<Opened> {
        if let Some((_, known)) = self.archives.iter().find(|(known, _)| known == path) {
            return Ok(known.clone());
        }
        tracing::info!("reading {} in place", path.display());
        let archive = match Archive::open(path) {
            Err(Error::Input(why)) => Err(why),
            archive => Ok(Arc::new(archive?)),
        };
        self.archives.push((path.to_owned(), archive.clone()));
        Ok(archive)
    }
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// `.` for the empty path.
fn real(folder: &Path) -> &Path {
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}

fn is_folder(path: &Path) -> bool {
    real(path).is_dir()
}

/// Whether a folder is at `path`, or an archive in its place.
pub fn is_there(path: &Path) -> bool {
    is_folder(path) || archive_at(path).is_some()
}

/// The archive at `path`, or beside it.
fn archive_at(path: &Path) -> Option<PathBuf> {
    if is_archive(path) && path.is_file() {
        return Some(path.to_owned());
    }
    let beside = ["zip", "tar"].map(|ending| path.with_added_extension(ending));
    let exact = beside.into_iter().find(|file| file.is_file());
    exact.or_else(|| {
        let archives = archives_in(path.parent()?);
        archives
            .into_iter()
            .find(|file| file.file_stem() == path.file_name())
    })
}

/// The zip and tar archives in a folder, by name.
fn archives_in(folder: &Path) -> Vec<PathBuf> {
    loose::note(real(folder));
    let names = real(folder).read_dir().into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| is_archive(path) && path.is_file())
        .collect();
    paths.sort();
    paths
}

/// The message for a missing folder that the config names, with a hint from what is beside
/// it.
fn nothing_at(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(path);
    let other = names_in(real(folder)).remove(&folded(&name));
    let other = other.map_or(String::new(), |other| format!(" (there is {other})"));
    let unpack = hint(folder, &name, false).map_or(String::new(), |hint| format!("; {hint}"));
    format!(
        "{}: no such folder, and no .zip or .tar in its place{other}; the photographs are expected there (dataset.root, dataset.image_dir){unpack}",
        path.display()
    )
}

/// The refusal of photographs in `rest`, which `folder` lacks.
fn lacking(folder: &Path, rest: &str) -> Refusal {
    let first = rest.split('/').next().unwrap_or_default();
    similar(missing(), first, &names_in(folder))
}
