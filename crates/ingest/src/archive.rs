//! Photographs inside zip and tar archives, read in place.
//!
//! An archive's index is read once; an entry is then read at its own offset, by
//! any number of threads at once. Nothing that an archive says of itself is
//! trusted: sizes are limits and no reason to take memory, names are looked up
//! and never turned into paths. The index takes memory in proportion to the part
//! of the archive that names its entries.

use crate::photograph::Refusal;
use crate::source::{check, plain};
use attend_artifact::{Error, Result, check_interrupt};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use zip::read::{ZipArchiveMetadata, ZipReadOptions};
use zip::result::ZipError;

/// What a tar may put before one entry: its headers, its long name.
const TAR_HEADERS: u64 = 1 << 20;
/// Memory that is taken for an entry because it says so; more only as it comes.
const TRUSTED_SIZE: u64 = 1 << 20;

/// An archive whose entries can be read.
pub struct Archive {
    file: Arc<File>,
    index: Index,
}

enum Index {
    Zip {
        entries: Arc<ZipArchiveMetadata>,
        numbers: HashMap<String, usize>,
    },
    Tar(HashMap<String, Member>),
}

/// An entry of a tar, of which everything is in the file.
struct Member {
    offset: u64,
    size: u64,
    regular: bool,
}

/// Whether a file of this name is taken for an archive.
pub fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "zip" || e == "tar")
}

impl Archive {
    /// Reads the index of the archive at `path`, a `.zip` or else a tar.
    ///
    /// # Errors
    /// [`Error::Input`] where it is damaged; [`Error::Interrupted`].
    pub fn open(path: &Path) -> Result<Archive> {
        let damaged = |what: String| {
            let path = path.display();
            Error::input(format!(
                "{path}: {what}: the archive is damaged, fetch or pack it again"
            ))
        };
        let file = Arc::new(File::open(path).map_err(|e| damaged(e.to_string()))?);
        let reader = Reader::new(&file).map_err(|e| damaged(e.to_string()))?;
        let index = if path.extension().is_some_and(|e| e == "zip") {
            zip_index(reader).map_err(|e| damaged(e.to_string()))?
        } else {
            Index::Tar(tar_index(reader, damaged)?)
        };
        let count = match &index {
            Index::Zip { numbers, .. } => numbers.len(),
            Index::Tar(members) => members.len(),
        };
        tracing::info!("{}: {count} entries, read in place", path.display());
        Ok(Archive { file, index })
    }

    /// The content of the first of `names` that there is, of at most `limit`
    /// bytes. Names as [`plain`] gives them.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub fn read(&self, names: &[String], limit: u64) -> Result<Vec<u8>, Refusal> {
        let missing = || Refusal::new("missing", "not in the archive");
        match &self.index {
            Index::Zip { entries, numbers } => {
                let number = names.iter().find_map(|name| numbers.get(name));
                let entry = entries.entry(*number.ok_or_else(missing)?);
                let entry = entry.map_err(zip_refusal)?;
                check(entry.is_file(), entry.size(), limit)?;
                let mut bytes = Vec::with_capacity(entry.size().min(TRUSTED_SIZE) as usize);
                let mut reader = BufReader::new(Reader::new(&self.file).map_err(io_refusal)?);
                // Ends with an error where there is more than the entry's size.
                entry
                    .with_reader(&mut reader, ZipReadOptions::new())
                    .map_err(zip_refusal)?
                    .read_to_end(&mut bytes)
                    .map_err(io_refusal)?;
                Ok(bytes)
            }
            Index::Tar(members) => {
                let member = names.iter().find_map(|name| members.get(name));
                let member = member.ok_or_else(missing)?;
                check(member.regular, member.size, limit)?;
                let mut bytes = vec![0; member.size as usize];
                self.file
                    .read_exact_at(&mut bytes, member.offset)
                    .map_err(io_refusal)?;
                Ok(bytes)
            }
        }
    }
}

fn zip_index(reader: Reader) -> Result<Index, ZipError> {
    let entries = zip::ZipArchive::new(BufReader::new(reader))?.metadata();
    let mut numbers = HashMap::with_capacity(entries.len());
    for number in 0..entries.len() {
        let entry = entries.entry(number)?;
        // Programs on Unix write UTF-8 without saying so.
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

fn tar_index(reader: Reader, damaged: impl Fn(String) -> Error) -> Result<HashMap<String, Member>> {
    let (budget, ended) = (Cell::new(TAR_HEADERS), Cell::new(false));
    let failed = |e: io::Error| damaged(e.to_string());
    let mut archive = tar::Archive::new(Headers {
        reader,
        budget: &budget,
        ended: &ended,
    });
    let mut members = HashMap::new();
    for entry in archive.entries_with_seek().map_err(failed)? {
        check_interrupt()?;
        let entry = entry.map_err(failed)?;
        budget.set(TAR_HEADERS);
        if let Some(name) = std::str::from_utf8(&entry.path_bytes())
            .ok()
            .and_then(plain)
        {
            let member = Member {
                offset: entry.raw_file_position(),
                size: entry.size(),
                regular: entry.header().entry_type().is_file(),
            };
            // Of several the last counts, as when it is unpacked.
            members.insert(name, member);
        }
    }
    if ended.get() {
        return Err(damaged("it ends before its end marker".into()));
    }
    Ok(members)
}

/// A file read by position: its offset is its own, the file is everybody's.
struct Reader {
    file: Arc<File>,
    length: u64,
    at: u64,
}

impl Reader {
    fn new(file: &Arc<File>) -> io::Result<Reader> {
        Ok(Reader {
            file: file.clone(),
            length: file.metadata()?.len(),
            at: 0,
        })
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// The headers of a tar, which are read one after the other.
struct Headers<'a> {
    reader: Reader,
    /// Bytes that may be read until the next entry.
    budget: &'a Cell<u64>,
    /// Whether the file came to its end.
    ended: &'a Cell<bool>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.ended.set(read == 0);
        let left = self.budget.get().checked_sub(read as u64);
        self.budget
            .set(left.ok_or_else(|| io::Error::other("an entry's headers are too long"))?);
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}

fn zip_refusal(error: ZipError) -> Refusal {
    match error {
        ZipError::Io(e) => io_refusal(e),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Refusal::new("unsupported", error)
        }
        _ => Refusal::new("corrupt", error),
    }
}

fn io_refusal(error: io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::UnexpectedEof => Refusal::new("truncated", "its entry in the archive is cut"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Refusal::new("corrupt", error),
        _ => Refusal::new("unreadable", error),
    }
}
