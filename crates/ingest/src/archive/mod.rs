//! Photographs inside zip and tar files, read in place.
//!
//! An archive's index is read once; a member is then read at its own offset, by any number
//! of threads at once. Nothing in an archive is trusted: sizes are limits, never amounts to
//! allocate, names are looked up and never turned into paths, links lead to other members
//! only.
//!
//! - `zip`, `tar`: the two formats; `handle`: the open file; `cursor`: reads a file that
//!   several threads share.
//! - `names`: the members by name, and where links lead.
//! - `packed`: archives that have to be unpacked first.

mod cursor;
mod handle;
mod names;
mod packed;
mod tar;
mod zip;

pub use names::is_litter;
pub use packed::{hint, hint_beside};

use crate::reference::{Refusal, State, refuse};
use crate::sniff;
use attend_artifact::ledger::Reason;
use attend_program::{Error, Result, loose};
use cursor::Cursor;
use handle::Handle;
use std::fmt::{self, Debug, Formatter};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum size of a text file in an archive, in bytes.
const TEXT: u64 = 1 << 30;

/// An archive whose members can be read.
pub struct Archive {
    path: PathBuf,
    index: Index,
}

enum Index {
    Zip(zip::Zip),
    Tar(tar::Tar),
}

/// Whether a file has the name of an archive.
pub fn is_archive(path: &Path) -> bool {
    matches!(&*extension(path), "zip" | "tar")
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

impl Debug for Archive {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({})", self.path.display())
    }
}

impl Archive {
    /// Reads the index of the archive at `path`: a zip or a tar by its content, or else by
    /// its name.
    ///
    /// # Errors
    /// [`Error::Input`] if it is damaged or something else; [`Error::Interrupted`].
    pub fn open(path: &Path) -> Result<Archive> {
        loose::note(path);
        let wrong =
            |why: &dyn std::fmt::Display| Error::input(format!("{}: {why}", path.display()));
        let damaged = |e: &dyn std::fmt::Display| {
            let way_out = "copy or download it again, or unpack it to a folder beside it";
            wrong(&format!("{e}; {way_out}"))
        };
        let file = Arc::new(Handle::open(path).map_err(|e| damaged(&e))?);
        let mut begin = Vec::new();
        Cursor::start(&file)
            .and_then(|start| start.take(sniff::BEGIN).read_to_end(&mut begin))
            .map_err(|e| damaged(&e))?;
        let (is_tar, is_zip) = (
            begin.get(257..262) == Some(b"ustar"),
            begin.starts_with(b"PK"),
        );
        if !is_tar
            && !is_zip
            && let Some(what) = sniff::kind(&begin)
        {
            return Err(wrong(&what));
        }
        let index = match is_zip || (extension(path) == "zip" && !is_tar) {
            true => Index::Zip(zip::Zip::open(&file).map_err(|e| damaged(&zip::why(&e)))?),
            false => Index::Tar(tar::Tar::open(&file, path, &damaged)?),
        };
        let path = path.to_owned();
        Ok(Archive { path, index })
    }

    /// The archive's own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the first of `names` that the archive has, up to `limit` bytes.
    /// Names are as [`crate::name::plain`] returns them.
    ///
    /// # Errors
    /// The reason why it can't be read.
    pub fn read(&self, names: &[String], limit: u64) -> Result<Vec<u8>, Refusal> {
        let found = match &self.index {
            Index::Zip(zip) => (zip.names.find(names))
                .map(|number| number.and_then(|number| zip.content(*number, limit))),
            Index::Tar(tar) => (tar.names.find(names))
                .map(|member| member.and_then(|member| tar.content(member, limit))),
        };
        found.unwrap_or_else(|| Err(refuse(Reason::Missing, self.missing(names))))
    }

    fn missing(&self, names: &[String]) -> String {
        let similar = match &self.index {
            Index::Zip(zip) => zip.names.similar(names),
            Index::Tar(tar) => tar.names.similar(names),
        };
        match similar {
            Some(name) => format!("not in the archive, which has {name}"),
            None => "not in the archive".to_owned(),
        }
    }

    /// The state of the first of `names` that the archive has.
    pub fn state(&self, names: &[String]) -> Option<State> {
        /// The state of a link that leads to no member.
        const NOWHERE: State = [0; 3];
        match &self.index {
            Index::Zip(zip) => match zip.names.find(names)? {
                Ok(number) => zip.state(*number),
                Err(_) => Some(NOWHERE),
            },
            Index::Tar(tar) => Some(match tar.names.find(names)? {
                Ok(member) => tar.state(member),
                Err(_) => NOWHERE,
            }),
        }
    }

    /// The names of its files in its order, without those that macOS and Windows add; then
    /// those that can't be read, because they lead out of the archive or are not UTF-8.
    pub fn listed(&self) -> Vec<&str> {
        match &self.index {
            Index::Zip(zip) => zip.names.listed(),
            Index::Tar(tar) => tar.names.listed(),
        }
    }

    /// Whether there is anything below `folder`.
    pub fn holds(&self, folder: &str) -> bool {
        match &self.index {
            Index::Zip(zip) => zip.names.holds(folder),
            Index::Tar(tar) => tar.names.holds(folder),
        }
    }

    /// The folder that contains all members; empty if there is none.
    pub fn inner(&self) -> String {
        match &self.index {
            Index::Zip(zip) => zip.names.inner(),
            Index::Tar(tar) => tar.names.inner(),
        }
    }

    /// A few of the names at the top, for messages.
    pub fn top(&self) -> String {
        let names = match &self.index {
            Index::Zip(zip) => zip.names.top(),
            Index::Tar(tar) => tar.names.top(),
        };
        names.join(", ")
    }
}

/// The content of `path` if it is in an archive: `texts.zip/captions.txt`.
///
/// # Errors
/// [`Error::Input`] if the archive is damaged or lacks the file.
pub fn member(path: &Path) -> Option<Result<Vec<u8>>> {
    let archive = path
        .parent()
        .filter(|archive| is_archive(archive) && archive.is_file())?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(Archive::open(archive).and_then(|archive| {
        let names = [name.clone(), format!("{}/{name}", archive.inner())];
        let refused = |refusal: Refusal| {
            Error::input(format!(
                "{}: {}: {}",
                path.display(),
                refusal.reason.code(),
                refusal.detail
            ))
        };
        archive.read(&names, TEXT).map_err(refused)
    }))
}
