//! Where the photographs lie: in folders, or in archives that stand in their
//! places, as COCO ships them: `train2014.zip` or `train2014.tar` for `train2014/`.
//!
//! Archives are read in place, by many threads at once. No file name leads out of
//! the folder of the photographs, neither by itself nor by way of a link.

use crate::hdf5::{self, Images};
use crate::photograph::{Refusal, refuse};
use crate::select::Candidate;
use attend_artifact::{Error, Result};
use rustix::fs::OFlags;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::read::ZipFile;
use zip::result::ZipError;

/// A file of more bytes is no photograph.
const MAX_BYTES: u64 = 256 << 20;

/// What tells one state of a photograph's file from another.
pub type State = [i64; 3];

/// Where the photographs are.
pub struct Source {
    root: PathBuf,
    /// The root with all links followed.
    inside: PathBuf,
    /// By folder, the archive that stands for it.
    archives: BTreeMap<String, Archive>,
}

enum Archive {
    Zip(Zip),
    Tar(Tar),
    Hdf5(Images),
}

/// A zip archive; reading a member takes a copy of this, which costs nothing.
type Zip = zip::ZipArchive<At>;

/// An uncompressed tar archive.
struct Tar {
    file: Arc<File>,
    /// Where the bytes of each member lie, and how many.
    members: HashMap<String, (u64, u64)>,
    /// Of the archive.
    changed: i64,
}

impl Source {
    /// Looks where the photographs of `candidates` are, below `root`.
    ///
    /// # Errors
    /// [`Error::Input`] where an archive can't be read.
    pub fn open(root: &Path, candidates: &[Candidate]) -> Result<Source> {
        let folders: BTreeSet<&str> = (candidates.iter())
            .filter_map(|candidate| Some(candidate.file_name.rsplit_once('/')?.0))
            .collect();
        let mut archives = BTreeMap::new();
        for folder in folders {
            let ends = folder.match_indices('/').map(|(at, _)| at);
            for end in ends.chain([folder.len()]) {
                let prefix = &folder[..end];
                if archives.contains_key(prefix) || root.join(prefix).is_dir() {
                    continue;
                }
                let path = root.join(prefix);
                if hdf5::is_images(&path) {
                    archives.insert(prefix.to_owned(), Archive::Hdf5(Images::open(&path)?));
                } else if let Some(path) = archive_of(&path) {
                    tracing::info!("reading {} in place", path.display());
                    archives.insert(prefix.to_owned(), open(&path)?);
                }
            }
        }
        let inside = root.canonicalize();
        Ok(Source {
            root: root.to_owned(),
            inside: inside.map_err(|e| Error::input(format!("{}: {e}", root.display())))?,
            archives,
        })
    }

    /// The bytes of a photograph. May be called from several threads.
    ///
    /// # Errors
    /// The reason why there are none.
    pub fn read(&self, file_name: &str) -> Result<Vec<u8>, Refusal> {
        match self.archive(file_name) {
            Some((Archive::Zip(zip), member)) => zipped(zip, names(file_name, member), unzipped),
            Some((Archive::Tar(tar), member)) => tar.read(names(file_name, member)),
            Some((Archive::Hdf5(images), row)) => images.read_named(row),
            None => self.loose(file_name),
        }
    }

    /// The state of a photograph's file: size and time, or what its archive says.
    pub fn state(&self, file_name: &str) -> State {
        let state = match self.archive(file_name) {
            Some((Archive::Zip(zip), member)) => {
                let state = |entry: ZipFile| Ok([entry.size() as i64, entry.crc32().into(), 0]);
                zipped(zip, names(file_name, member), state).ok()
            }
            Some((Archive::Tar(tar), member)) => {
                let found = tar.find(names(file_name, member));
                found.map(|(at, length)| [length as i64, at as i64, tar.changed])
            }
            Some((Archive::Hdf5(images), _)) => Some(images.state()),
            None => {
                let meta = std::fs::metadata(self.root.join(file_name)).ok();
                meta.map(|meta| [meta.len() as i64, meta.mtime(), meta.mtime_nsec()])
            }
        };
        state.unwrap_or([-1; 3])
    }

    /// The archive that stands for a folder of the name, and the rest of the name.
    fn archive<'a>(&self, file_name: &'a str) -> Option<(&Archive, &'a str)> {
        let ends = file_name.match_indices('/').map(|(at, _)| at);
        let mut found = ends
            .filter_map(|end| Some((self.archives.get(&file_name[..end])?, &file_name[end + 1..])));
        found.next()
    }

    fn loose(&self, file_name: &str) -> Result<Vec<u8>, Refusal> {
        let path = self.root.join(file_name).canonicalize().map_err(failed)?;
        if !path.starts_with(&self.inside) {
            let detail = "a link leads out of the image root";
            return Err(refuse("outside-root", detail));
        }
        // A named pipe would wait for its writer.
        let nonblock = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblock)
            .open(path);
        let file = file.map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(refuse("unreadable", "not a regular file"));
        }
        limited(file, meta.len()).map_err(failed)?
    }
}

/// The archive beside a folder that is not there.
fn archive_of(folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_os_string();
    let beside = |suffix: &str| {
        let mut name = name.clone();
        name.push(suffix);
        Some(folder.with_file_name(name)).filter(|path| path.is_file())
    };
    beside(".zip").or_else(|| beside(".tar"))
}

/// Whether photographs can be read where a folder is expected.
pub fn stands(folder: &Path) -> bool {
    folder.is_dir() || archive_of(folder).is_some()
}

fn open(path: &Path) -> Result<Archive> {
    let broken = |e: &dyn std::fmt::Display| {
        Error::input(format!(
            "{}: {e}; copy or download it again, or unpack it to a folder beside it",
            path.display()
        ))
    };
    let file = File::open(path).map_err(|e| broken(&e))?;
    if path.extension().is_some_and(|extension| extension == "zip") {
        let zip = zip::ZipArchive::new(At::start(Arc::new(file)));
        return Ok(Archive::Zip(zip.map_err(|e| broken(&e))?));
    }
    Ok(Archive::Tar(Tar::index(file).map_err(|e| broken(&e))?))
}

/// Reads to the end, but no more than a photograph may have; `says` is how much
/// there is said to be.
fn limited(from: impl Read, says: u64) -> io::Result<Result<Vec<u8>, Refusal>> {
    let too_large = |bytes| {
        let detail = format!("{bytes} bytes, more than {MAX_BYTES}");
        Ok(Err(refuse("too-large", detail)))
    };
    if says > MAX_BYTES {
        return too_large(says);
    }
    // What a header says is no reason to take memory.
    let mut bytes = Vec::with_capacity(says.min(1 << 20) as usize);
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        length if length > MAX_BYTES => too_large(length),
        _ => Ok(Ok(bytes)),
    }
}

fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        // A file where a folder should be: the file in it is missing, too.
        ErrorKind::NotFound | ErrorKind::NotADirectory => refuse("missing", "no such file"),
        _ => refuse("unreadable", error),
    }
}

/// The names that a member may have: archives hold their folder, or begin below it.
/// `a/train2014/x.jpg` in `a/train2014.zip` is `train2014/x.jpg`, or `x.jpg`.
fn names<'a>(file_name: &'a str, member: &'a str) -> [&'a str; 2] {
    let folder = file_name.len() - member.len() - 1;
    let begin = file_name[..folder].rfind('/').map_or(0, |at| at + 1);
    [&file_name[begin..], member]
}

/// A member of a zip archive, for `use_it`.
fn zipped<T>(
    zip: &Zip,
    names: [&str; 2],
    use_it: impl FnOnce(ZipFile) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut zip = zip.clone();
    let known = names.into_iter().find(|name| {
        let found = zip.by_name(name);
        !matches!(found, Err(ZipError::FileNotFound))
    });
    match zip.by_name(known.unwrap_or_default()) {
        Ok(entry) => use_it(entry),
        Err(ZipError::FileNotFound) => Err(refuse("missing", "not in the archive")),
        Err(ZipError::UnsupportedArchive(why)) => Err(refuse("unsupported", why)),
        Err(e) => Err(refuse("corrupt", format!("in its archive: {e}"))),
    }
}

fn unzipped(entry: ZipFile) -> Result<Vec<u8>, Refusal> {
    let says = entry.size();
    let bytes = limited(entry, says);
    let bytes = bytes.map_err(|e| refuse("corrupt", format!("in its archive: {e}")))??;
    match bytes.len() as u64 == says {
        true => Ok(bytes),
        false => Err(refuse("corrupt", "not as long as its archive says")),
    }
}

impl Tar {
    fn index(file: File) -> io::Result<Tar> {
        let meta = file.metadata()?;
        let file = Arc::new(file);
        let mut archive = tar::Archive::new(At::start(file.clone()));
        let mut members = HashMap::new();
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let place = (entry.raw_file_position(), entry.size());
            if entry.header().entry_type().is_file()
                && let Ok(name) = String::from_utf8(entry.path_bytes().into_owned())
            {
                members.insert(name.trim_start_matches("./").to_owned(), place);
            }
        }
        Ok(Tar {
            file,
            members,
            changed: meta.mtime() ^ meta.mtime_nsec(),
        })
    }

    fn find(&self, names: [&str; 2]) -> Option<(u64, u64)> {
        names
            .iter()
            .find_map(|name| self.members.get(*name))
            .copied()
    }

    fn read(&self, names: [&str; 2]) -> Result<Vec<u8>, Refusal> {
        let found = self.find(names);
        let (at, length) = found.ok_or_else(|| refuse("missing", "not in the archive"))?;
        let mut from = At::start(self.file.clone());
        from.at = at;
        let bytes = limited(from.take(length), length).map_err(failed)??;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(refuse("truncated", "the archive ends before it does")),
        }
    }
}

/// A place of its own in a file that others read, too.
#[derive(Clone)]
struct At {
    file: Arc<File>,
    at: u64,
}

impl At {
    fn start(file: Arc<File>) -> At {
        At { file, at: 0 }
    }
}

impl Read for At {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for At {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = place.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
