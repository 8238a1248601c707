//! Tar archives.

use super::cursor::{Cursor, io_refusal};
use super::handle::Handle;
use super::names::Names;
use crate::name::plain;
use crate::reference::{Refusal, State, check, refuse};
use attend_artifact::ledger::Reason;
use attend_program::{Result, check_interrupt};
use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use tar::EntryType;

/// Maximum size of the headers before one member, in bytes.
const HEADERS: u64 = 1 << 20;

pub(super) struct Tar {
    file: Arc<Handle>,
    pub(super) names: Names<Member>,
}

/// A member of a tar.
#[derive(Clone)]
pub(super) struct Member {
    at: u64,
    size: u64,
    /// What it is, if not a regular file whose bytes are all in the archive.
    strange: Option<&'static str>,
}

const SPARSE: &str = "a sparse file in its tar; unpack that (`tar -xf`)";

impl Tar {
    /// # Errors
    /// [`attend_program::Error::Interrupted`], or what `damaged` returns for a reason.
    pub(super) fn open(
        file: &Arc<Handle>,
        path: &Path,
        damaged: &dyn Fn(&dyn std::fmt::Display) -> attend_program::Error,
    ) -> Result<Tar> {
        let headers = Headers::default();
        let mut archive = tar::Archive::new(Reader {
            at: Cursor::start(file).map_err(|e| damaged(&e))?,
            headers: &headers,
        });
        // Reads on after an end marker: archives may be concatenated (`cat`).
        archive.set_ignore_zeros(true);
        let (mut names, mut ended) = (Names::new(), false);
        for entry in archive.entries_with_seek().map_err(|e| damaged(&e))? {
            check_interrupt()?;
            match entry {
                Ok(mut entry) => {
                    headers.left.set(HEADERS);
                    enter(&mut names, &mut entry).map_err(|e| damaged(&e))?;
                }
                // Other programs stop at the end marker.
                Err(e) if headers.behind_the_end() && e.raw_os_error().is_none() => {
                    let path = path.display();
                    tracing::warn!("{path}: what follows its end marker is not read ({e})");
                    ended = true;
                }
                Err(e) => return Err(damaged(&e)),
            }
        }
        if !ended && headers.zeros.get() == 0 {
            return Err(damaged(&"ends before its end marker"));
        }
        Ok(Tar {
            file: file.clone(),
            names,
        })
    }

    pub(super) fn content(&self, member: &Member, limit: u64) -> Result<Vec<u8>, Refusal> {
        if let Some(strange) = member.strange {
            let reason = if strange == SPARSE {
                Reason::Unsupported
            } else {
                Reason::Unreadable
            };
            return Err(refuse(reason, strange));
        }
        check(true, member.size, limit)?;
        let mut bytes = vec![0; member.size as usize];
        let file = self.file.get().map_err(io_refusal)?;
        let read = file.read_exact_at(&mut bytes, member.at);
        read.map(|()| bytes).map_err(io_refusal)
    }

    pub(super) fn state(&self, member: &Member) -> State {
        [member.size as i64, member.at as i64, self.file.changed()]
    }
}

fn enter(names: &mut Names<Member>, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
    let kind = entry.header().entry_type();
    let mut path = entry.path_bytes().into_owned();
    let mut strange = match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::Link => None,
        EntryType::GNUSparse => Some(SPARSE),
        _ => Some("not a regular file"),
    };
    if kind == EntryType::Regular
        && let Some(extensions) = entry.pax_extensions()?
    {
        for extension in extensions.flatten() {
            let key = extension.key_bytes();
            if key.starts_with(b"GNU.sparse.") {
                strange = Some(SPARSE);
            }
            if key == b"GNU.sparse.name" {
                path = extension.value_bytes().to_owned();
            }
        }
    }
    let name = std::str::from_utf8(&path).ok();
    let Some(name) = name.and_then(plain) else {
        names.unusable(&path);
        return Ok(());
    };
    let target = entry.link_name_bytes().unwrap_or_default();
    let target = std::str::from_utf8(&target).unwrap_or_default();
    match kind {
        EntryType::Directory => {
            names.folder(name);
            return Ok(());
        }
        EntryType::Symlink => {
            names.link(name, target);
            return Ok(());
        }
        EntryType::Link => {
            if plain(target).is_some_and(|target| names.same(&name, &target)) {
                return Ok(());
            }
            strange = Some("a hard link to what is not in its archive before it");
        }
        _ => {}
    }
    let member = Member {
        at: entry.raw_file_position(),
        size: entry.size(),
        strange,
    };
    names.insert(name, member);
    Ok(())
}

/// The state of reading a tar's headers.
struct Headers {
    /// Bytes that may still be read before the next member.
    left: Cell<u64>,
    /// Number of blocks of zeros that were just read. Two are the end marker; an archive
    /// without one is truncated.
    zeros: Cell<u64>,
    /// `zeros` before the last read.
    zeros_before: Cell<u64>,
}

impl Default for Headers {
    fn default() -> Self {
        Headers {
            left: Cell::new(HEADERS),
            zeros: Cell::new(0),
            zeros_before: Cell::new(0),
        }
    }
}

impl Headers {
    fn behind_the_end(&self) -> bool {
        self.zeros.get().max(self.zeros_before.get()) >= 2
    }
}

/// Reads the headers of a tar; contents are skipped by seeking.
struct Reader<'a> {
    at: Cursor,
    headers: &'a Headers,
}

impl Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.at.read(bytes)?;
        let headers = self.headers;
        if read > 0 {
            headers.zeros_before.set(headers.zeros.get());
            let zeros = bytes[..read].iter().all(|byte| *byte == 0);
            headers
                .zeros
                .set(if zeros { headers.zeros.get() + 1 } else { 0 });
        }
        let left = headers.left.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::other("a member's headers are too long"))?;
        headers.left.set(left);
        Ok(read)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at.seek(to)
    }
}
