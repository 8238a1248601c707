//! Photographs inside zip, tar and HDF5 files, read in place.
//!
//! An archive's index is read once; a member is then read at its own offset, by
//! any number of threads at once. Nothing that an archive says of itself is
//! trusted: sizes are limits and no reason to take memory, names are looked up and
//! never turned into paths.

use crate::hdf5::Images;
use crate::photograph::{Refusal, refuse};
use crate::source::{State, check, plain};
use attend_artifact::{Error, Result, check_interrupt};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use zip::read::{ArchiveOffset, ZipArchiveMetadata, ZipReadOptions};
use zip::result::ZipError;

/// Bytes of headers that a tar may have before one member.
const TAR_HEADERS: u64 = 1 << 20;

/// More members than an archive of photographs has.
const ZIP_MEMBERS: u64 = 1 << 22;
/// Where a zip's end may begin, from the end of the file: it may have a comment of
/// 64 KiB.
const ZIP_END: u64 = 1 << 17;

/// An archive whose members can be read.
pub struct Archive {
    file: Arc<File>,
    index: Index,
}

enum Index {
    Zip {
        entries: Arc<ZipArchiveMetadata>,
        numbers: HashMap<String, usize>,
    },
    Tar {
        members: HashMap<String, Member>,
        /// When the archive changed, in nanoseconds.
        changed: i64,
    },
    /// Images by their rows.
    Hdf5(Images),
}

/// A member of a tar; all of its bytes are in the file.
struct Member {
    at: u64,
    size: u64,
    regular: bool,
}

/// Whether a file of this name is taken for an archive.
pub fn is_archive(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("zip" | "tar" | "hdf5"))
}

impl Archive {
    /// Reads the index of the archive at `path`, a `.zip`, an `.hdf5`, or else a tar.
    ///
    /// # Errors
    /// [`Error::Input`] where it is damaged; [`Error::Interrupted`].
    pub fn open(path: &Path) -> Result<Archive> {
        tracing::info!("reading {} in place", path.display());
        let damaged = |e: &dyn std::fmt::Display| {
            Error::input(format!(
                "{}: {e}; copy or download it again, or unpack it to a folder beside it",
                path.display()
            ))
        };
        let file = Arc::new(File::open(path).map_err(|e| damaged(&e))?);
        let index = match path.extension().and_then(|extension| extension.to_str()) {
            Some("zip") => zip_index(&file).map_err(|e| damaged(&e))?,
            Some("hdf5") => Index::Hdf5(Images::open(path)?),
            _ => tar_index(&file, &damaged)?,
        };
        Ok(Archive { file, index })
    }

    /// The content of the first of `names` that there is, if it has no more than
    /// `limit` bytes. Names are such as [`plain`] gives.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn read(&self, names: &[String], limit: u64) -> Result<Vec<u8>, Refusal> {
        let missing = || refuse("missing", "not in the archive");
        match &self.index {
            Index::Zip { entries, numbers } => {
                let number = find(names, numbers).ok_or_else(missing)?;
                let entry = entries.entry(*number).map_err(zip_refusal)?;
                let size = entry.size();
                check(entry.is_file(), size, limit)?;
                let mut bytes = Vec::with_capacity(size.min(1 << 20) as usize);
                let mut at = BufReader::new(At::start(&self.file));
                // An error where the content is longer than its size says.
                entry
                    .with_reader(&mut at, ZipReadOptions::new())
                    .map_err(zip_refusal)?
                    .read_to_end(&mut bytes)
                    .map_err(io_refusal)?;
                match bytes.len() as u64 == size {
                    true => Ok(bytes),
                    false => Err(refuse("corrupt", "not as long as its archive says")),
                }
            }
            Index::Tar { members, .. } => {
                let member = find(names, members).ok_or_else(missing)?;
                check(member.regular, member.size, limit)?;
                let mut bytes = vec![0; member.size as usize];
                let read = self.file.read_exact_at(&mut bytes, member.at);
                read.map(|()| bytes).map_err(io_refusal)
            }
            Index::Hdf5(images) => images.read_named(names.last().ok_or_else(missing)?),
        }
    }

    /// What tells one state of a member from another, if there is one.
    pub fn state(&self, names: &[String]) -> Option<State> {
        match &self.index {
            Index::Zip { entries, numbers } => {
                let entry = entries.entry(*find(names, numbers)?).ok()?;
                Some([entry.size() as i64, entry.crc32().into(), 0])
            }
            Index::Tar { members, changed } => {
                let member = find(names, members)?;
                Some([member.size as i64, member.at as i64, *changed])
            }
            Index::Hdf5(images) => Some(images.state()),
        }
    }
}

fn find<'a, T>(names: &[String], members: &'a HashMap<String, T>) -> Option<&'a T> {
    names.iter().find_map(|name| members.get(name))
}

fn zip_index(file: &Arc<File>) -> Result<Index, ZipError> {
    if zip64_members(file)? > ZIP_MEMBERS {
        return Err(ZipError::UnsupportedArchive("too many members"));
    }
    // An archive behind something else would have to be searched for.
    let config = zip::read::Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let reader = BufReader::new(At::start(file));
    let entries = zip::ZipArchive::with_config(config, reader)?.metadata();
    let mut numbers = HashMap::with_capacity(entries.len());
    for number in 0..entries.len() {
        let entry = entries.entry(number)?;
        // Programs on Unix write UTF-8 and don't say so.
        let name = match std::str::from_utf8(entry.name_raw()) {
            Ok(name) => plain(name),
            Err(_) => entry.name().ok().and_then(|name| plain(&name)),
        };
        if let Some(name) = name {
            numbers.insert(name, number);
        }
    }
    Ok(Index::Zip { entries, numbers })
}

/// How many members a zip archive of 64 bits says to have, for which memory is taken
/// before the first one is looked at: the most that any of its ends says, if there
/// are several.
fn zip64_members(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let tail = length.saturating_sub(ZIP_END);
    let mut bytes = vec![0; (length - tail) as usize];
    file.read_exact_at(&mut bytes, tail)?;
    let mut most = 0;
    for (at, _) in bytes
        .windows(4)
        .enumerate()
        .filter(|(_, four)| four == b"PK\x06\x07")
    {
        let mut members = [0; 8];
        if let Some(end) = number_at(&bytes, at + 8)
            && let Some(place) = end.checked_add(32)
            && file.read_exact_at(&mut members, place).is_ok()
        {
            most = most.max(u64::from_le_bytes(members));
        }
    }
    Ok(most)
}

fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn tar_index(file: &Arc<File>, damaged: &dyn Fn(&dyn std::fmt::Display) -> Error) -> Result<Index> {
    let (left, ended) = (Cell::new(TAR_HEADERS), Cell::new(false));
    let mut archive = tar::Archive::new(Headers {
        at: At::start(file),
        left: &left,
        ended: &ended,
    });
    let mut members = HashMap::new();
    for entry in archive.entries_with_seek().map_err(|e| damaged(&e))? {
        check_interrupt()?;
        let entry = entry.map_err(|e| damaged(&e))?;
        left.set(TAR_HEADERS);
        if let Some(name) = std::str::from_utf8(&entry.path_bytes())
            .ok()
            .and_then(plain)
        {
            let member = Member {
                at: entry.raw_file_position(),
                size: entry.size(),
                regular: entry.header().entry_type().is_file(),
            };
            // Of several of one name the last counts, as when they are unpacked.
            members.insert(name, member);
        }
    }
    if ended.get() {
        return Err(damaged(&"ends before its end marker"));
    }
    let meta = file.metadata().map_err(|e| damaged(&e))?;
    let changed = meta.mtime().wrapping_mul(1_000_000_000) + meta.mtime_nsec();
    Ok(Index::Tar { members, changed })
}

/// A place of its own in a file that others read, too.
struct At {
    file: Arc<File>,
    at: u64,
}

impl At {
    fn start(file: &Arc<File>) -> At {
        At {
            file: file.clone(),
            at: 0,
        }
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

/// The headers of a tar, without what lies between them.
struct Headers<'a> {
    at: At,
    /// Bytes that may be read until the next member.
    left: &'a Cell<u64>,
    /// Whether the last read found the end of the file: then there was no end
    /// marker, and the archive was cut, be it in a member or between two.
    ended: &'a Cell<bool>,
}

impl Read for Headers<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.at.read(bytes)?;
        self.ended.set(read == 0);
        let left = self.left.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::other("a member's headers are too long"))?;
        self.left.set(left);
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at.seek(to)
    }
}

fn zip_refusal(error: ZipError) -> Refusal {
    match error {
        ZipError::Io(e) => io_refusal(e),
        ZipError::UnsupportedArchive(why) => refuse("unsupported", why),
        _ => refuse("corrupt", format!("in its archive: {error}")),
    }
}

fn io_refusal(error: io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::UnexpectedEof => refuse("truncated", "cut in its archive"),
        ErrorKind::Unsupported => refuse("unsupported", error),
        ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            refuse("corrupt", format!("in its archive: {error}"))
        }
        _ => refuse("unreadable", error),
    }
}
