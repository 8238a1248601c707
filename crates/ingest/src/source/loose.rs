//! Photographs that are files in a folder.

use crate::name::folded;
use crate::reference::{Refusal, State, check, refuse};
use attend_artifact::ledger::Reason;
use attend_program::loose;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Reads the file at `path`, whose folder is free of links, if it has no more than `limit`
/// bytes.
pub fn read(path: &Path, root: Option<&Path>, limit: u64) -> Result<Vec<u8>, Refusal> {
    let file = match open(path) {
        Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            let target = path.canonicalize().map_err(failed)?;
            if root.is_some_and(|root| !target.starts_with(root)) {
                return Err(outside());
            }
            open(&target)
        }
        file => file,
    };
    let file = file.map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    check(meta.is_file(), meta.len(), limit)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // The file may grow while it is read.
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Size and modification time of the file that [`read`] reads.
pub fn state(path: &Path, root: Option<&Path>) -> Option<State> {
    let meta = metadata(path, root);
    loose::note_meta(path, meta.as_ref());
    let meta = meta?;
    Some([meta.len() as i64, meta.mtime(), meta.mtime_nsec()])
}

fn metadata(path: &Path, root: Option<&Path>) -> Option<Metadata> {
    let meta = path.symlink_metadata().ok()?;
    if !meta.is_symlink() {
        return Some(meta);
    }
    let target = path.canonicalize().ok()?;
    if root.is_some_and(|root| !target.starts_with(root)) {
        return None;
    }
    target.metadata().ok()
}

/// Opens a file that is not a link, without waiting for the writer of a named pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32);
    options.open(path)
}

/// The names in a folder by their [`folded`] form; the first of those that share one.
pub fn names_in(folder: &Path) -> HashMap<String, String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_by(|a, b| b.cmp(a));
    names
        .into_iter()
        .map(|name| (folded(&name), name))
        .collect()
}

/// Adds the name of a similar file to the refusal of a missing one.
pub fn similar(refusal: Refusal, name: &str, names: &HashMap<String, String>) -> Refusal {
    match names.get(&folded(name)) {
        Some(other) if other != name => refuse(
            refusal.reason,
            format!("{}; there is {other}", refusal.detail),
        ),
        _ => refusal,
    }
}

/// The refusal of a photograph that a link leads out of the trusted folder.
pub fn outside() -> Refusal {
    let detail = "a link leads out of the image root; name the folder that it leads to in dataset.root or dataset.image_dir, or follow such links (dataset.follow_links)";
    refuse(Reason::OutsideRoot, detail)
}

/// The refusal of a missing photograph.
pub fn missing() -> Refusal {
    refuse(Reason::Missing, "no such file")
}

fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        // If there is a file instead of a folder, the photograph below it is missing.
        ErrorKind::NotFound | ErrorKind::NotADirectory => missing(),
        _ => refuse(Reason::Unreadable, error),
    }
}
