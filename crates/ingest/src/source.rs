//! From a photograph's file name to its bytes: in a folder, or in an archive that
//! stands where the folder would.
//!
//! File names come from the annotations and are not trusted: they lead to regular
//! files under the image root and nowhere else, whatever links lie on the way.
//! The image root is the folder that the config names (`dataset.root`, below it
//! `dataset.image_dir` and COCO's own folders), which may itself be a link.
//!
//! Where a folder `train2014` is missing but `train2014.zip` or `train2014.tar`
//! stands in its place, its files are read out of that; so they are where a name
//! in the config is an archive's. In the archive they may stand under the folder's
//! name or at the top.

use crate::archive::{Archive, is_archive};
use crate::photograph::Refusal;
use crate::select::Candidate;
use attend_artifact::{Error, Result};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Size in bytes and time of change (seconds, nanoseconds) of a file; -1 where
/// there is none.
pub type State = [i64; 3];

/// Where the photographs are; none has been read.
pub struct Places {
    /// By the folder part of their file names.
    folders: HashMap<String, Place>,
    archives: Vec<(PathBuf, State)>,
}

/// Where the files of one folder are.
enum Place {
    Folder {
        path: PathBuf,
        /// The image root that a link may not leave.
        root: PathBuf,
    },
    Archive {
        number: usize,
        /// The folder inside it, in both ways that it may be written there.
        prefixes: [String; 2],
    },
    Nowhere(Refusal),
}

impl Places {
    /// Finds the folders of the candidates; `folders` are those that the config
    /// names, relative to `root`.
    ///
    /// # Errors
    /// [`Error::Input`] where one of `folders` is neither there nor an archive.
    pub fn find(root: &Path, folders: &[String], candidates: &[Candidate]) -> Result<Places> {
        if let Some(folder) = folders
            .iter()
            .map(|folder| root.join(folder))
            .find(|folder| locate(folder.clone(), "").is_err())
        {
            return Err(Error::input(format!(
                "{}: no such folder, and no .zip or .tar of that name; the photographs are expected there (dataset.root, dataset.image_dir)",
                folder.display()
            )));
        }
        let mut places = Places {
            folders: HashMap::new(),
            archives: Vec::new(),
        };
        for candidate in candidates {
            let (folder, _) = split(&candidate.file_name);
            if !places.folders.contains_key(folder) {
                let place = places.place(root, folders, folder);
                let place = place.unwrap_or_else(Place::Nowhere);
                places.folders.insert(folder.to_owned(), place);
            }
        }
        Ok(places)
    }

    fn place(&mut self, root: &Path, folders: &[String], folder: &str) -> Result<Place, Refusal> {
        let (start, within) = folders
            .iter()
            .find_map(|named| {
                let within = folder.strip_prefix(named.trim_end_matches('/'))?;
                let within = match within {
                    "" => "",
                    _ => within.strip_prefix('/')?,
                };
                Some((root.join(named), within))
            })
            .unwrap_or((root.to_owned(), folder));
        let within = plain(within).ok_or_else(outside)?;
        let found = locate(start.clone(), &within).map_err(failed)?;
        let path = found.path.canonicalize().map_err(failed)?;
        // There is no `start` where an archive stands in its place.
        let root = start.canonicalize().unwrap_or_else(|_| path.clone());
        if !path.starts_with(&root) {
            return Err(outside());
        }
        let Some(prefixes) = found.prefixes else {
            return Ok(Place::Folder { path, root });
        };
        let known = self.archives.iter().position(|(known, _)| *known == path);
        let number = known.unwrap_or_else(|| {
            let state = state(&path);
            self.archives.push((path, state));
            self.archives.len() - 1
        });
        Ok(Place::Archive { number, prefixes })
    }

    /// The state of a candidate's file, or of the archive that holds it.
    pub fn state(&self, file_name: &str) -> State {
        let (folder, name) = split(file_name);
        match self.folders.get(folder) {
            Some(Place::Folder { path, .. }) => state(&path.join(name)),
            Some(Place::Archive { number, .. }) => self.archives[*number].1,
            Some(Place::Nowhere(_)) | None => [-1; 3],
        }
    }

    /// Hash over names and states: whether any of the photographs changed.
    pub fn fingerprint(&self, candidates: &[Candidate]) -> String {
        let mut hasher = blake3::Hasher::new();
        for candidate in candidates {
            hasher.update(candidate.file_name.as_bytes());
            for number in self.state(&candidate.file_name) {
                hasher.update(&number.to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The photographs themselves, for any number of threads.
pub struct Source {
    places: Places,
    archives: Vec<Archive>,
    max_bytes: u64,
}

impl Source {
    /// Reads the indexes of the archives. Files of more than `max_bytes` are
    /// refused.
    ///
    /// # Errors
    /// [`Error::Input`] where an archive is damaged; [`Error::Interrupted`].
    pub fn open(places: Places, max_bytes: u64) -> Result<Source> {
        let archives = places.archives.iter().map(|(path, _)| Archive::open(path));
        Ok(Source {
            archives: archives.collect::<Result<_>>()?,
            places,
            max_bytes,
        })
    }

    /// The bytes of a candidate's file.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub fn read(&self, file_name: &str) -> Result<Vec<u8>, Refusal> {
        let (folder, name) = split(file_name);
        match self.places.folders.get(folder) {
            Some(Place::Folder { path, root }) => read_file(path, name, root, self.max_bytes),
            Some(Place::Archive { number, prefixes }) => {
                let names = prefixes.each_ref().map(|prefix| match prefix.as_str() {
                    "" => name.to_owned(),
                    prefix => format!("{prefix}/{name}"),
                });
                self.archives[*number].read(&names, self.max_bytes)
            }
            Some(Place::Nowhere(refusal)) => Err(refusal.clone()),
            None => Err(failed(ErrorKind::NotFound.into())),
        }
    }
}

/// A name with `/`, without empty parts and `.`; none where it leads out of the
/// folder that it is relative to. A backslash is refused: it separates folders
/// where the annotations or an archive may have been written.
pub fn plain(name: &str) -> Option<String> {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let leads_out = name.starts_with('/') || name.contains(['\\', '\0']) || parts.contains(&"..");
    (!leads_out).then(|| parts.join("/"))
}

/// Folder and name of a file name.
fn split(file_name: &str) -> (&str, &str) {
    file_name.rsplit_once('/').unwrap_or(("", file_name))
}

struct Found {
    path: PathBuf,
    /// Of an archive: the folder inside it, below the archive's name or not.
    prefixes: Option<[String; 2]>,
}

/// Finds the folder `within` below `path`, or the archive that stands in the place
/// of one of the folders on the way.
fn locate(mut path: PathBuf, within: &str) -> io::Result<Found> {
    let mut parts = within.split('/').filter(|part| !part.is_empty());
    loop {
        let missing = match path.metadata() {
            Ok(meta) if meta.is_dir() => None,
            Ok(_) => Some(ErrorKind::NotADirectory.into()),
            Err(e) => Some(e),
        };
        if let Some(missing) = missing {
            let archive = archive_at(&path).ok_or(missing)?;
            let stem = archive.file_stem().unwrap_or_default().to_string_lossy();
            let parts: Vec<&str> = parts.collect();
            let below = [&[&*stem], &parts[..]].concat().join("/");
            return Ok(Found {
                prefixes: Some([below, parts.join("/")]),
                path: archive,
            });
        }
        match parts.next() {
            Some(part) => path.push(part),
            None => {
                return Ok(Found {
                    path,
                    prefixes: None,
                });
            }
        }
    }
}

/// The archive at `path`, or at `path` with the ending of one.
fn archive_at(path: &Path) -> Option<PathBuf> {
    let beside = ["zip", "tar"].map(|ending| path.with_added_extension(ending));
    let itself = is_archive(path).then(|| path.to_owned());
    itself.into_iter().chain(beside).find(|file| file.is_file())
}

fn state(path: &Path) -> State {
    path.metadata()
        .map(|meta| [meta.len() as i64, meta.mtime(), meta.mtime_nsec()])
        .unwrap_or([-1; 3])
}

/// Reads the file `name` in `folder`, which is free of links.
fn read_file(folder: &Path, name: &str, root: &Path, limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut file = open_within(&folder.join(name), root)?;
    let meta = file.metadata().map_err(failed)?;
    check(meta.is_file(), meta.len(), limit)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // It may be growing.
    let mut file = (&mut file).take(limit);
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn open_within(path: &Path, root: &Path) -> Result<File, Refusal> {
    match open(path) {
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => {
            let target = path.canonicalize().map_err(failed)?;
            if !target.starts_with(root) {
                return Err(outside());
            }
            open(&target)
        }
        file => file,
    }
    .map_err(failed)
}

/// Opens a file that is no link, without waiting for the writer of a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// Refuses what is no regular file or has more bytes than `limit`.
///
/// # Errors
/// The refusal.
pub fn check(regular: bool, size: u64, limit: u64) -> Result<(), Refusal> {
    if !regular {
        return Err(Refusal::new("unreadable", "not a regular file"));
    }
    if size > limit {
        let detail = format!("{size} bytes, more than {limit}");
        return Err(Refusal::new("too-large", detail));
    }
    Ok(())
}

fn outside() -> Refusal {
    let detail = "a link on its way leads out of the image root; make the folder that it leads to dataset.root";
    Refusal::new("outside-root", detail)
}

fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        // A file where a folder should be: the file in it is missing, too.
        ErrorKind::NotFound | ErrorKind::NotADirectory => Refusal::new("missing", "no such file"),
        _ => Refusal::new("unreadable", error),
    }
}
