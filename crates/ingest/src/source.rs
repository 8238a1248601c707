//! Where the photographs lie: in folders, or in archives that stand in their
//! places, as COCO ships them: `train2014.zip` or `train2014.tar` for `train2014/`,
//! with its members under the folder's name or at the top.
//!
//! File names come from the annotations and are not trusted: they lead to regular
//! files below the folder that the config names (`dataset.root`, in it
//! `dataset.image_dir` and COCO's own folders) and nowhere else, neither by
//! themselves nor by way of a link. That folder itself may be a link, or an archive.

use crate::archive::{Archive, is_archive};
use crate::photograph::{Refusal, refuse};
use crate::select::Candidate;
use attend_artifact::{Error, Result};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file of more bytes is no photograph.
const MAX_BYTES: u64 = 256 << 20;

/// What tells one state of a photograph's file from another.
pub type State = [i64; 3];

/// Where the photographs are. May be used by several threads.
pub struct Source {
    /// By the folder in their file names.
    folders: HashMap<String, Place>,
    archives: Vec<(PathBuf, Archive)>,
}

/// Where the files of one folder are.
enum Place {
    Folder {
        /// Without links.
        path: PathBuf,
        /// What links may not lead out of.
        root: PathBuf,
    },
    Archive {
        number: usize,
        /// The folder in it, in both ways that it may be written.
        prefixes: [String; 2],
    },
    Nowhere(Refusal),
}

impl Source {
    /// Looks where the photographs of `candidates` are; `folders` are those below
    /// `root` that the config names.
    ///
    /// # Errors
    /// [`Error::Input`] where one of `folders` is not there, or an archive is
    /// damaged.
    pub fn open(root: &Path, folders: &[String], candidates: &[Candidate]) -> Result<Source> {
        let mut expected = folders.iter().map(|folder| root.join(folder));
        if let Some(folder) = expected.find(|folder| locate(folder.clone(), "").is_err()) {
            return Err(Error::input(format!(
                "{}: no such folder, and no .zip or .tar in its place; the photographs are expected there (dataset.root, dataset.image_dir)",
                folder.display()
            )));
        }
        let mut source = Source {
            folders: HashMap::new(),
            archives: Vec::new(),
        };
        for candidate in candidates {
            let (folder, _) = split(&candidate.file_name);
            if !source.folders.contains_key(folder) {
                let place = match find(root, folders, folder) {
                    Ok(found) => source.enter(found)?,
                    Err(refusal) => Place::Nowhere(refusal),
                };
                source.folders.insert(folder.to_owned(), place);
            }
        }
        Ok(source)
    }

    fn enter(&mut self, found: Found) -> Result<Place> {
        let Found {
            path,
            root,
            prefixes,
        } = found;
        let Some(prefixes) = prefixes else {
            return Ok(Place::Folder { path, root });
        };
        let known = self.archives.iter().position(|(known, _)| *known == path);
        let number = known.unwrap_or(self.archives.len());
        if known.is_none() {
            let archive = Archive::open(&path)?;
            self.archives.push((path, archive));
        }
        Ok(Place::Archive { number, prefixes })
    }

    /// The bytes of a photograph.
    ///
    /// # Errors
    /// The reason why there are none.
    pub fn read(&self, file_name: &str) -> Result<Vec<u8>, Refusal> {
        let (folder, name) = split(file_name);
        match self.folders.get(folder) {
            Some(Place::Folder { path, root }) => loose(&path.join(name), root),
            Some(Place::Archive { number, prefixes }) => {
                let (_, archive) = &self.archives[*number];
                archive.read(&members(prefixes, name), MAX_BYTES)
            }
            Some(Place::Nowhere(refusal)) => Err(refusal.clone()),
            None => Err(failed(ErrorKind::NotFound.into())),
        }
    }

    /// The state of a photograph's file: size and time, or what its archive says.
    pub fn state(&self, file_name: &str) -> State {
        let (folder, name) = split(file_name);
        let state = match self.folders.get(folder) {
            Some(Place::Folder { path, .. }) => {
                let meta = path.join(name).metadata().ok();
                meta.map(|meta| [meta.len() as i64, meta.mtime(), meta.mtime_nsec()])
            }
            Some(Place::Archive { number, prefixes }) => {
                let (_, archive) = &self.archives[*number];
                archive.state(&members(prefixes, name))
            }
            Some(Place::Nowhere(_)) | None => None,
        };
        state.unwrap_or([-1; 3])
    }
}

/// Folder and name of a file name.
fn split(file_name: &str) -> (&str, &str) {
    file_name.rsplit_once('/').unwrap_or(("", file_name))
}

/// The names that a file may have in an archive.
fn members(prefixes: &[String; 2], name: &str) -> [String; 2] {
    prefixes.each_ref().map(|prefix| match prefix.as_str() {
        "" => name.to_owned(),
        prefix => format!("{prefix}/{name}"),
    })
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

/// A folder that was found.
struct Found {
    path: PathBuf,
    root: PathBuf,
    /// Of one in an archive, which `path` then is.
    prefixes: Option<[String; 2]>,
}

/// Finds a folder of file names, or the archive that stands for it.
fn find(root: &Path, folders: &[String], folder: &str) -> Result<Found, Refusal> {
    // What the config names may be anywhere; what comes below it may not.
    let below_named = folders.iter().find_map(|named| {
        let below = folder.strip_prefix(named.trim_end_matches('/'))?;
        let below = match below {
            "" => below,
            _ => below.strip_prefix('/')?,
        };
        Some((root.join(named), below))
    });
    let (start, below) = below_named.unwrap_or_else(|| (root.to_owned(), folder));
    let below = plain(below).ok_or_else(outside)?;
    let (path, prefixes) = locate(start.clone(), &below).map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    // Nothing is at `start` where an archive stands in its place.
    let root = start.canonicalize().unwrap_or_else(|_| path.clone());
    if !path.starts_with(&root) {
        return Err(outside());
    }
    Ok(Found {
        path,
        root,
        prefixes,
    })
}

/// The folder `below` in `path`, or the archive that stands for one on the way and
/// the two ways that the rest of the way may be written in it.
fn locate(mut path: PathBuf, below: &str) -> io::Result<(PathBuf, Option<[String; 2]>)> {
    let mut parts = below.split('/').filter(|part| !part.is_empty());
    loop {
        let absent = match path.metadata() {
            Ok(meta) if meta.is_dir() => None,
            Ok(_) => Some(ErrorKind::NotADirectory.into()),
            Err(e) => Some(e),
        };
        if let Some(absent) = absent {
            let archive = archive_at(&path).ok_or(absent)?;
            let stem = archive.file_stem().unwrap_or_default().to_string_lossy();
            let rest: Vec<&str> = parts.collect();
            let prefixes = [[&[&*stem], &*rest].concat().join("/"), rest.join("/")];
            return Ok((archive, Some(prefixes)));
        }
        match parts.next() {
            Some(part) => path.push(part),
            None => return Ok((path, None)),
        }
    }
}

/// Whether a folder is at `path`, or an archive in its place.
pub fn is_there(path: PathBuf) -> bool {
    locate(path, "").is_ok()
}

/// The archive at `path`, or beside it.
fn archive_at(path: &Path) -> Option<PathBuf> {
    let itself = is_archive(path).then(|| path.to_owned());
    let beside = ["zip", "tar"].map(|ending| path.with_added_extension(ending));
    itself.into_iter().chain(beside).find(|file| file.is_file())
}

/// Reads the file at `path`, of which all but the name is free of links.
fn loose(path: &Path, root: &Path) -> Result<Vec<u8>, Refusal> {
    let file = match open(path) {
        Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            let target = path.canonicalize().map_err(failed)?;
            if !target.starts_with(root) {
                return Err(outside());
            }
            open(&target)
        }
        file => file,
    };
    let file = file.map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    check(meta.is_file(), meta.len(), MAX_BYTES)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // Somebody may be writing to it.
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Opens a file that is no link, without waiting for the writer of a named pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32);
    options.open(path)
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

fn outside() -> Refusal {
    let detail = "a link leads out of the image root; name the folder that it leads to in dataset.root or dataset.image_dir";
    refuse("outside-root", detail)
}

fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        // A file where a folder should be: the file in it is missing, too.
        ErrorKind::NotFound | ErrorKind::NotADirectory => refuse("missing", "no such file"),
        _ => refuse("unreadable", error),
    }
}
