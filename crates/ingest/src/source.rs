//! Where the photographs lie: in folders, or in archives that stand in their
//! places, as COCO ships them: `train2014.zip` or `train2014.tar` for `train2014/`,
//! with its members under the folder's name, at the top, or under the one folder that
//! all of them lie in. An archive of another name stands for a folder that it holds:
//! `Flickr8k_Dataset.zip` for `Flicker8k_Dataset/`.
//!
//! File names come from the annotations and are not trusted: they lead to regular
//! files below the folder that the config names (`dataset.root`, in it
//! `dataset.image_dir` and COCO's own folders) and nowhere else, neither by
//! themselves nor by way of a link, unless `dataset.follow_links` says so. That folder
//! itself may be a link, or an archive, or a folder in one.

use crate::archive::{Archive, folded, hint, is_archive};
use crate::loose::{self, failed, names_in, outside, similar};
use crate::photograph::{Refusal, refuse};
use crate::select::Candidate;
use attend_artifact::text::escaped;
use attend_artifact::{Error, Result};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file of more bytes is no photograph.
pub const MAX_BYTES: u64 = 256 << 20;

/// What tells one state of a photograph's file from another.
pub type State = [i64; 3];

/// What the config says about where photographs may be.
#[derive(Clone, Copy, Debug)]
pub struct Where<'a> {
    /// `dataset.root`.
    pub root: &'a Path,
    /// The folders below it that the config names, and that must be there.
    pub folders: &'a [String],
    /// `dataset.follow_links`.
    pub follow_links: bool,
}

/// Where the photographs are. May be used by several threads.
pub struct Source {
    /// By the folder in their file names.
    folders: HashMap<String, Place>,
    archives: Vec<(PathBuf, Result<Archive, String>)>,
}

/// Where the files of one folder are.
enum Place {
    Folder {
        /// Without links.
        path: PathBuf,
        /// What links may not lead out of, if there is such a thing.
        root: Option<PathBuf>,
        /// The names in it, [`crate::archive::folded`], for messages.
        names: OnceLock<HashMap<String, String>>,
    },
    Archive {
        number: usize,
        /// The folder in it, in all ways that it may be written.
        prefixes: Vec<String>,
    },
    /// Its photographs are left out.
    Nowhere(Refusal),
    /// None of its shards can be made.
    Broken(String),
}

impl Source {
    /// Looks where the photographs of `candidates` are.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; what can't be found is told by [`Source::check`].
    pub fn open(place: Where<'_>, candidates: &[Candidate]) -> Result<Source> {
        let mut source = Source {
            folders: HashMap::new(),
            archives: Vec::new(),
        };
        for candidate in candidates {
            let (folder, _) = split(&candidate.file_name);
            if !source.folders.contains_key(folder) {
                let found = source.find(place, folder)?;
                source.folders.insert(folder.to_owned(), found);
            }
        }
        Ok(source)
    }

    /// Refuses where the folder of one of `candidates` is not there though the config
    /// names it, or its archive is damaged.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn check<'a>(&self, candidates: impl IntoIterator<Item = &'a Candidate>) -> Result<()> {
        let mut folders = candidates
            .into_iter()
            .map(|candidate| split(&candidate.file_name).0);
        match folders.find_map(|folder| match self.folders.get(folder) {
            Some(Place::Broken(why)) => Some(why),
            _ => None,
        }) {
            Some(why) => Err(Error::input(escaped(why))),
            None => Ok(()),
        }
    }

    /// Finds a folder of file names, or the archive that stands for it.
    fn find(&mut self, place: Where<'_>, folder: &str) -> Result<Place> {
        // What the config names may be anywhere; what comes below it may not.
        let below_named = place.folders.iter().find_map(|named| {
            let below = folder.strip_prefix(named.trim_end_matches('/'))?;
            let below = match below {
                "" => below,
                _ => below.strip_prefix('/')?,
            };
            Some((place.root.join(named), below))
        });
        let is_named = below_named.is_some();
        let (start, below) = below_named.unwrap_or_else(|| (place.root.to_owned(), folder));
        let Some(below) = plain(below) else {
            return Ok(Place::Nowhere(outside()));
        };
        if start.is_dir() {
            let root = start.canonicalize().ok().filter(|_| !place.follow_links);
            return self.locate(&start.join(&below), root.as_deref(), place, false);
        }
        Ok(match self.locate(&start, None, place, is_named)? {
            Place::Archive { number, prefixes } => {
                let (path, archive) = &self.archives[number];
                let held = |prefix: &String| archive.as_ref().is_ok_and(|a| a.holds(prefix));
                let held: Vec<String> = prefixes.into_iter().filter(held).collect();
                let top = archive.as_ref().map_or(String::new(), Archive::top);
                match held.is_empty() {
                    false => Place::Archive {
                        number,
                        prefixes: held.iter().map(|prefix| joined(prefix, &below)).collect(),
                    },
                    true => Place::Broken(format!(
                        "{}: {} has no such folder; it has {top} (dataset.image_dir)",
                        start.display(),
                        path.display()
                    )),
                }
            }
            Place::Nowhere(_) if is_named => Place::Broken(nothing_at(&start)),
            found => found,
        })
    }

    /// The folder at `path`, which no link may lead to out of `root`; or the archive that
    /// stands for one on the way. `named`: by the config, which has nothing else to offer.
    fn locate(
        &mut self,
        path: &Path,
        root: Option<&Path>,
        place: Where<'_>,
        named: bool,
    ) -> Result<Place> {
        let Some(folder) = path.ancestors().find(|folder| is_folder(folder)) else {
            return Ok(Place::Nowhere(failed(ErrorKind::NotFound.into())));
        };
        let rest = path.strip_prefix(folder).unwrap_or(Path::new(""));
        let rest = rest.to_str().and_then(plain);
        let (Some(rest), Ok(at)) = (rest, real(folder).canonicalize()) else {
            return Ok(Place::Nowhere(failed(ErrorKind::NotFound.into())));
        };
        let inside = |path: &Path| root.is_none_or(|root| path.starts_with(root));
        if rest.is_empty() {
            return Ok(match inside(&at) {
                true => Place::Folder {
                    path: at,
                    root: root.map(Path::to_owned),
                    names: OnceLock::new(),
                },
                false => Place::Nowhere(outside()),
            });
        }
        let (first, within) = rest.split_once('/').unwrap_or((&rest, ""));
        if let Some(path) = archive_at(&real(folder).join(first)) {
            let path = path.canonicalize().unwrap_or(path);
            if !inside(&path) {
                return Ok(Place::Nowhere(outside()));
            }
            let number = self.archive(&path)?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            return Ok(match &self.archives[number].1 {
                Ok(archive) => Place::Archive {
                    number,
                    prefixes: [&stem, "", &*archive.inner()]
                        .map(|prefix| joined(prefix, within))
                        .into(),
                },
                Err(why) => Place::Broken(why.clone()),
            });
        }
        if !inside(&at) {
            return Ok(Place::Nowhere(outside()));
        }
        let root = (!place.follow_links).then(|| root.unwrap_or(&at));
        self.holding(&at, &rest, root, named)
    }

    /// The archive in `folder` that holds the folder `rest`, whatever its name. No link
    /// leads to it out of `root`.
    fn holding(
        &mut self,
        folder: &Path,
        rest: &str,
        root: Option<&Path>,
        named: bool,
    ) -> Result<Place> {
        let (mut found, mut broken) = (Vec::new(), None);
        let real = archives_in(folder).into_iter();
        let real = real.filter_map(|path| path.canonicalize().ok());
        for path in real.filter(|path| root.is_none_or(|root| path.starts_with(root))) {
            let number = self.archive(&path)?;
            match &self.archives[number].1 {
                Ok(archive) if archive.holds(rest) => found.push(number),
                // Whether the folder is in it is anybody's guess.
                Err(why) if named => broken = Some(why.clone()),
                _ => {}
            }
        }
        found.dedup();
        Ok(match (found.as_slice(), broken) {
            ([number], _) => Place::Archive {
                number: *number,
                prefixes: vec![rest.to_owned()],
            },
            ([one, other, ..], _) => Place::Broken(format!(
                "{}: {rest} is in it, and in {} as well; move one away, or name the other in dataset.image_dir",
                self.archives[*one].0.display(),
                self.archives[*other].0.display()
            )),
            ([], Some(why)) => Place::Broken(why),
            ([], None) => Place::Nowhere(missing(folder, rest)),
        })
    }

    fn archive(&mut self, path: &Path) -> Result<usize> {
        if let Some(known) = self.archives.iter().position(|(known, _)| known == path) {
            return Ok(known);
        }
        tracing::info!("reading {} in place", path.display());
        let archive = match Archive::open(path) {
            Err(Error::Input(why)) => Err(why),
            archive => Ok(archive?),
        };
        self.archives.push((path.to_owned(), archive));
        Ok(self.archives.len() - 1)
    }

    /// The bytes of a photograph.
    ///
    /// # Errors
    /// The reason why there are none.
    pub fn read(&self, file_name: &str) -> Result<Vec<u8>, Refusal> {
        let (folder, name) = split(file_name);
        match self.folders.get(folder) {
            Some(Place::Folder { path, root, names }) => {
                let read = loose::read(&path.join(name), root.as_deref());
                read.map_err(|refusal| match refusal.reason.as_str() {
                    "missing" => similar(refusal, name, names.get_or_init(|| names_in(path))),
                    _ => refusal,
                })
            }
            Some(Place::Archive { number, prefixes }) => match &self.archives[*number].1 {
                Ok(archive) => archive.read(&members(prefixes, name), MAX_BYTES),
                Err(why) => Err(refuse("unreadable", why)),
            },
            Some(Place::Nowhere(refusal)) => Err(refusal.clone()),
            Some(Place::Broken(why)) => Err(refuse("unreadable", why)),
            None => Err(failed(ErrorKind::NotFound.into())),
        }
    }

    /// The state of a photograph's file: size and time, or what its archive says.
    pub fn state(&self, file_name: &str) -> State {
        let (folder, name) = split(file_name);
        let state = match self.folders.get(folder) {
            Some(Place::Folder { path, root, .. }) => {
                loose::state(&path.join(name), root.as_deref())
            }
            Some(Place::Archive { number, prefixes }) => match &self.archives[*number].1 {
                Ok(archive) => archive.state(&members(prefixes, name)),
                Err(_) => None,
            },
            Some(Place::Nowhere(_) | Place::Broken(_)) | None => None,
        };
        state.unwrap_or([-1; 3])
    }
}

/// Folder and name of a file name.
fn split(file_name: &str) -> (&str, &str) {
    file_name.rsplit_once('/').unwrap_or(("", file_name))
}

/// The names that a file may have in an archive.
fn members(prefixes: &[String], name: &str) -> Vec<String> {
    prefixes
        .iter()
        .map(|prefix| match prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        })
        .collect()
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// A name without empty parts and `.`; none where it leads out of the folder that
/// it is relative to.
pub fn plain(name: &str) -> Option<String> {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let leads_out = name.starts_with('/') || name.contains('\0') || parts.contains(&"..");
    (!leads_out).then(|| parts.join("/"))
}

/// The folder itself where a path has no other parts.
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
    let names = real(folder).read_dir().into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| is_archive(path) && path.is_file())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| !e.eq_ignore_ascii_case("hdf5"))
        })
        .collect();
    paths.sort();
    paths
}

/// Says that nothing is at a place that the config names, and what is beside it.
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

/// Why there is no `rest` in `folder`.
fn missing(folder: &Path, rest: &str) -> Refusal {
    let first = rest.split('/').next().unwrap_or_default();
    similar(failed(ErrorKind::NotFound.into()), first, &names_in(folder))
}

/// Refuses what is no regular file, or of more bytes than `limit`.
///
/// # Errors
/// The refusal.
pub fn check(regular: bool, size: u64, limit: u64) -> Result<(), Refusal> {
    if !regular {
        return Err(refuse("unreadable", "not a regular file"));
    }
    if size > limit {
        let detail = format!("{size} bytes, more than {limit}");
        return Err(refuse("too-large", detail));
    }
    Ok(())
}
