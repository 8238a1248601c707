//! The file that holds METEOR's compiled data.
//!
//! A header (magic, version, ends of the sections, checksums), then the sections that
//! [`super::tables`] reads. All numbers are little-endian.

use crate::Error;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The sections of the file, in order.
#[derive(Clone, Copy)]
pub(super) enum Section {
    FunctionWordStarts,
    FunctionWords,
    PrefixStarts,
    Prefixes,
    NumericPrefixStarts,
    NumericPrefixes,
    SynonymStarts,
    Synonyms,
    SynsetStarts,
    Synsets,
    ExceptionStarts,
    Exceptions,
    ExceptionSynsetStarts,
    ExceptionSynsets,
    VocabularyStarts,
    Vocabulary,
    NodeWords,
    NodeChildren,
    PhraseStarts,
    Phrases,
}

/// Number of sections.
pub(super) const SECTIONS: usize = Section::Phrases as usize + 1;

const MAGIC: &[u8; 8] = b"attmeteo";
/// Version of the format. Files of other versions are refused: compiling the data again
/// takes seconds.
const VERSION: u32 = 1;

// The header: magic, version, checksum of the sections, end of each section,
// checksum of the header so far.
const VERSION_AT: usize = 8;
const SUM_AT: usize = 12;
const ENDS_AT: usize = 16;
const HEADER: usize = ENDS_AT + 8 * SECTIONS + 4;

const DAMAGED: &str = "damaged; compile it again";

/// METEOR's word lists, synonyms and paraphrases, mapped into memory.
///
/// [`Data::compile`] makes the file once. [`Data::open`] takes no time and, until
/// captions are scored, next to no memory.
pub struct Data {
    path: PathBuf,
    map: memmap2::Mmap,
    sections: [Range<usize>; SECTIONS],
}

impl Data {
    /// Opens a file that [`Data::compile`] made.
    ///
    /// Checks the header and the length, not every byte ([`Data::verify`]
    /// does). No damage to the file makes scoring panic.
    ///
    /// # Errors
    /// If the file can't be read, is not of this kind and version, or is damaged.
    pub fn open(path: &Path) -> Result<Data, Error> {
        let file = File::open(path).map_err(Error::io(path))?;
        if !file.metadata().map_err(Error::io(path))?.is_file() {
            return Err(Error::malformed(path, "not a file"));
        }
        // SAFETY: a map is sound as long as nobody truncates or changes the mapped
        // file. `compile` writes a new file and renames it over this one, so that
        // an open map keeps its bytes; nothing in this project writes to the file
        // in place.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))?;
        let sections = sections(&map).map_err(|what| Error::malformed(path, what))?;
        let path = path.to_owned();
        Ok(Data {
            path,
            map,
            sections,
        })
    }

    /// Reads the whole file and checks its checksum.
    ///
    /// # Errors
    /// If a byte has changed since the file was made.
    pub fn verify(&self) -> Result<(), Error> {
        if self.map.get(HEADER..).map(crc32c::crc32c) == u32_at(&self.map, SUM_AT) {
            return Ok(());
        }
        Err(Error::malformed(&self.path, DAMAGED))
    }

    /// The checksum of the data. Scores made with different data differ.
    #[expect(clippy::expect_used, reason = "a file without a header was not opened")]
    pub fn checksum(&self) -> u32 {
        u32_at(&self.map, SUM_AT).expect("a header")
    }

    pub(super) fn section(&self, section: Section) -> &[u8] {
        &self.map[self.sections[section as usize].clone()]
    }
}

/// The ranges of the sections, or why the file is not one of ours.
fn sections(file: &[u8]) -> Result<[Range<usize>; SECTIONS], String> {
    if file.first_chunk() != Some(MAGIC) {
        return Err("not METEOR data compiled by attend".into());
    }
    let version = u32_at(file, VERSION_AT).ok_or(DAMAGED)?;
    if version != VERSION {
        return Err(format!(
            "METEOR data of version {version}, but this program reads version {VERSION}: compile it again"
        ));
    }
    let header = file.get(..HEADER - 4).ok_or(DAMAGED)?;
    if u32_at(file, HEADER - 4) != Some(crc32c::crc32c(header)) {
        return Err(DAMAGED.into());
    }
    let mut sections = [const { 0..0 }; SECTIONS];
    let mut start = HEADER;
    for (i, section) in sections.iter_mut().enumerate() {
        let end = u64_at(file, ENDS_AT + 8 * i).and_then(|end| usize::try_from(end).ok());
        let end = end.filter(|&end| end >= start).ok_or(DAMAGED)?;
        *section = start..end;
        start = end;
    }
    if start == file.len() {
        Ok(sections)
    } else {
        Err(format!("damaged: {} bytes of {start}", file.len()))
    }
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

/// Writes the whole file, or on failure leaves an older one in place.
pub(super) fn write(path: &Path, sections: &[Vec<u8>; SECTIONS]) -> Result<(), Error> {
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    let sum = sections
        .iter()
        .fold(0, |sum, s| crc32c::crc32c_append(sum, s));
    header.extend(sum.to_le_bytes());
    let mut end = HEADER as u64;
    for section in sections {
        end += section.len() as u64;
        header.extend(end.to_le_bytes());
    }
    header.extend(crc32c::crc32c(&header).to_le_bytes());

    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let io = Error::io(path);
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)] // the permissions of any new file: a cache may be shared
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(&io)?;
    file.write_all(&header).map_err(&io)?;
    for section in sections {
        file.write_all(section).map_err(&io)?;
    }
    file.as_file().sync_all().map_err(&io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}
