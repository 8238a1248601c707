//! Opens annotation files, and hashes them while they are read.

use crate::archive;
use attend_artifact::Input;
use attend_program::{At, Error, Result, fetch, loose};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The byte order mark that some editors put before UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// An annotation file that is being read, after its byte order mark.
pub struct Opened {
    file: File,
    hasher: blake3::Hasher,
}

/// Opens an annotation file. `what` is for messages: the expected file and the config key
/// that leads to it.
///
/// # Errors
/// [`Error::Input`] if there is none.
pub fn open(path: &Path, what: &str) -> Result<Opened> {
    let refused = |why: &dyn std::fmt::Display| {
        Error::input(format!("{}: {why}; expected here: {what}", path.display()))
    };
    loose::note(path);
    let file = OpenOptions::new()
        .read(true)
        // Opening a named pipe would wait for its writer.
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path);
    let mut file = match file {
        Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => file,
        Ok(_) => return Err(refused(&"not a file")),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let hint = archive::hint_beside(path).or_else(|| fetch::hint(&path.to_string_lossy()));
            let unpack = hint.map_or(String::new(), |hint| format!(" ({hint})"));
            return Err(refused(&format!("no such file{unpack}")));
        }
        Err(e) => return Err(refused(&e)),
    };
    let mut hasher = blake3::Hasher::new();
    let mut begin = Vec::new();
    (&file)
        .take(BOM.len() as u64)
        .read_to_end(&mut begin)
        .at(path)?;
    match begin == BOM {
        true => drop(hasher.update(BOM)),
        false => file.rewind().at(path)?,
    }
    Ok(Opened { file, hasher })
}

/// Hashes an annotation file that is read later. `what` as in [`open`].
///
/// # Errors
/// [`Error::Input`] if there is none.
pub fn hash(path: &Path, what: &str) -> Result<Input> {
    let mut opened = open(path, what)?;
    opened.hasher.update_reader(&opened.file).at(path)?;
    Ok(opened.input())
}

impl Opened {
    /// The file as an input of the artifact, after it was read to its end.
    pub fn input(&self) -> Input {
        input(self.hasher.finalize())
    }
}

impl Read for Opened {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

/// An annotation file with this digest as an input of the artifact.
pub fn input(digest: blake3::Hash) -> Input {
    Input {
        kind: "annotations".into(),
        digest: digest.to_hex().to_string(),
    }
}
