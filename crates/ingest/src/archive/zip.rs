//! Zip archives.

use super::cursor::{Cursor, io_refusal};
use super::handle::Handle;
use super::names::Names;
use crate::name::plain;
use crate::reference::{Refusal, State, check, refuse};
use attend_artifact::ledger::Reason;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use zip::CompressionMethod;
use zip::read::{ArchiveOffset, ZipArchiveMetadata, ZipFileEntry, ZipReadOptions};
use zip::result::ZipError;

/// Maximum number of members.
const MEMBERS: u64 = 1 << 22;
/// Maximum distance of the directory's end record from the file's end, in bytes: a comment
/// of up to 64 KiB may follow it.
const END: u64 = 1 << 17;
/// Maximum length of a link's target, in bytes.
const LINK: u64 = 1 << 12;

pub(super) struct Zip {
    file: Arc<Handle>,
    entries: Arc<ZipArchiveMetadata>,
    pub(super) names: Names<usize>,
}

impl Zip {
    pub(super) fn open(file: &Arc<Handle>) -> Result<Zip, ZipError> {
        let end = End::find(file.get()?.as_ref())?;
        if end.members > MEMBERS {
            return Err(ZipError::UnsupportedArchive("too many members"));
        }
        // An archive may be appended to a program that unpacks it.
        let config = zip::read::Config {
            archive_offset: ArchiveOffset::Known(end.before),
        };
        let reader = BufReader::new(Cursor::start(file)?);
        let mut zip = Zip {
            file: file.clone(),
            entries: zip::ZipArchive::with_config(config, reader)?.metadata(),
            names: Names::new(),
        };
        let mut windows = Vec::new();
        for number in 0..zip.entries.len() {
            let entry = zip.entries.entry(number)?;
            // Programs on Unix write UTF-8 without the flag for it.
            let name = match std::str::from_utf8(entry.name_raw()) {
                Ok(name) => name.to_owned(),
                Err(_) => entry.name().map(|name| name.into()).unwrap_or_default(),
            };
            if name.contains('\\') {
                windows.push((name.replace('\\', "/"), number));
            }
            zip.enter(&name, number)?;
        }
        // Some programs on Windows write backslashes as separators.
        for (name, number) in windows {
            if plain(&name).is_some_and(|name| !zip.names.has(&name)) {
                zip.enter(&name, number)?;
            }
        }
        Ok(zip)
    }

    fn enter(&mut self, name: &str, number: usize) -> Result<(), ZipError> {
        let Some(plain) = plain(name) else {
            self.names.unusable(name.as_bytes());
            return Ok(());
        };
        let entry = self.entries.entry(number)?;
        if entry.is_dir() || name.ends_with('/') {
            self.names.folder(plain);
        } else if entry.is_symlink() {
            let target = self.content(number, LINK).ok();
            let target = target.and_then(|bytes| String::from_utf8(bytes).ok());
            self.names.link(plain, &target.unwrap_or_default());
        } else {
            self.names.insert(plain, number);
        }
        Ok(())
    }

    pub(super) fn content(&self, number: usize, limit: u64) -> Result<Vec<u8>, Refusal> {
        let entry = self.entries.entry(number).map_err(refusal)?;
        let size = entry.size();
        check(true, size, limit)?;
        readable(&entry)?;
        let mut bytes = Vec::with_capacity(size.min(1 << 20) as usize);
        let mut reader = BufReader::new(Cursor::start(&self.file).map_err(io_refusal)?);
        // Fails if the content is longer than its size says.
        entry
            .with_reader(&mut reader, ZipReadOptions::new())
            .map_err(refusal)?
            .read_to_end(&mut bytes)
            .map_err(io_refusal)?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(refuse(Reason::Corrupt, "not as long as its archive says")),
        }
    }

    pub(super) fn state(&self, number: usize) -> Option<State> {
        let entry = self.entries.entry(number).ok()?;
        Some([entry.size() as i64, entry.crc32().into(), 0])
    }
}

/// Refuses members that are encrypted, or compressed by other methods than deflate.
fn readable(entry: &ZipFileEntry<'_>) -> Result<(), Refusal> {
    if entry.encrypted() {
        let detail = "encrypted in its archive; unpack that with its password (`7z x`)";
        return Err(refuse(Reason::Unsupported, detail));
    }
    match entry.compression() {
        CompressionMethod::Stored | CompressionMethod::Deflated => Ok(()),
        other => {
            let detail = format!("packed by {other} in its archive; unpack that (`7z x`)");
            Err(refuse(Reason::Unsupported, detail))
        }
    }
}

/// Contents of the end records of a zip archive.
#[derive(Default)]
struct End {
    /// Number of members: the maximum of all end records, because memory for that many
    /// is allocated before the first is read.
    members: u64,
    /// Bytes before the archive, which its offsets don't count.
    before: u64,
}

impl End {
    fn find(file: &File) -> Result<End, ZipError> {
        let length = file.metadata()?.len();
        let tail = length.saturating_sub(END);
        let mut bytes = vec![0; (length - tail) as usize];
        file.read_exact_at(&mut bytes, tail)?;
        let mut end = End::default();
        let places = |magic: &'static [u8; 4]| {
            let places = bytes
                .windows(4)
                .enumerate()
                .filter(move |(_, four)| four == magic);
            places.map(|(at, _)| at)
        };
        // The last end record whose comment fits into the file.
        let fits = |at: &usize| {
            let comment = number::<2>(&bytes, at + 20);
            comment.is_some_and(|comment| *at as u64 + 22 + comment <= bytes.len() as u64)
        };
        if let Some(at) = places(b"PK\x05\x06").rfind(fits) {
            if matches!(number::<2>(&bytes, at + 4), Some(1..0xffff)) {
                return Err(ZipError::UnsupportedArchive(SPLIT));
            }
            end.before = before(&bytes, at, tail).unwrap_or(0);
        }
        for at in places(b"PK\x06\x07") {
            let mut members = [0; 8];
            let place = number::<8>(&bytes, at + 8)
                .and_then(|end64| end64.checked_add(end.before)?.checked_add(32));
            if let Some(place) = place
                && file.read_exact_at(&mut members, place).is_ok()
            {
                end.members = end.members.max(u64::from_le_bytes(members));
            }
        }
        Ok(end)
    }
}

/// The message for an archive of several parts.
const SPLIT: &str = "the last part of a split zip; make one of its parts (`zip -s 0 PART.zip --out WHOLE.zip`), or unpack it (`7z x`)";

/// Number of bytes before an archive: the directory's actual offset minus the stated one.
/// The end record is `at` in `bytes`, which begin at `tail` in the file.
fn before(bytes: &[u8], at: usize, tail: u64) -> Option<u64> {
    let place = tail + at as u64;
    let locator = at
        .checked_sub(20)
        .filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"));
    match locator {
        // The 64-bit end record has 56 bytes, its locator 20.
        Some(locator) => place
            .checked_sub(76)?
            .checked_sub(number::<8>(bytes, locator + 8)?),
        None => {
            let (size, offset) = (number::<4>(bytes, at + 12)?, number::<4>(bytes, at + 16)?);
            place.checked_sub(size)?.checked_sub(offset)
        }
    }
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: &[u8; N] = bytes.get(at..)?.first_chunk()?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn refusal(error: ZipError) -> Refusal {
    match error {
        ZipError::Io(e) => io_refusal(e),
        ZipError::UnsupportedArchive(why) => refuse(Reason::Unsupported, why),
        _ => refuse(Reason::Corrupt, format!("in its archive: {error}")),
    }
}

/// The reason why an archive as a whole can't be read.
pub(super) fn why(error: &ZipError) -> String {
    match error {
        ZipError::Io(e) => e.to_string(),
        ZipError::UnsupportedArchive(why) => (*why).to_owned(),
        _ => error.to_string(),
    }
}
