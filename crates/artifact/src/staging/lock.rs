//! The lock that lets only one run at a time write an artifact.

use super::disk::{has_replaced, remove_replaced, sibling};
use super::piece::Share;
use attend_program::{At, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// While it is held, no other run writes the same artifact.
pub(crate) struct Lock {
    pub(super) destination: PathBuf,
    _file: File,
}

impl Lock {
    /// Waits for the runs that write the artifact at `destination`. Tasks wait only for
    /// whole runs, not for each other.
    pub(crate) fn wait(destination: &Path, share: Share) -> Result<Lock> {
        if has_replaced(destination) {
            let _alone = acquired(destination, false)?;
            remove_replaced(destination)?;
        }
        let file = acquired(destination, matches!(share, Share::Task { .. }))?;
        Ok(Lock {
            destination: destination.to_owned(),
            _file: file,
        })
    }
}

/// Waits until no other run writes the artifact, and logs which one does. With `shared`,
/// other runs may hold the lock at the same time if they share it, too.
fn acquired(destination: &Path, shared: bool) -> Result<File> {
    if let Some(parent) = destination.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).at(parent)?;
    }
    let path = sibling(destination, ".lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).at(&path)?;
    let tried = match shared {
        true => file.try_lock_shared(),
        false => file.try_lock(),
    };
    match tried {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&file).take(200).read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another run".to_owned(),
                holder => format!("another run ({holder})"),
            };
            tracing::info!(
                "{holder} is writing {}; waiting for it",
                destination.display()
            );
            attend_program::signal::waiting(|| match shared {
                true => file.lock_shared(),
                false => file.lock(),
            })?
            .at(&path)?;
        }
        Err(TryLockError::Error(e)) => {
            tracing::warn!(
                "{}: no lock to be had ({e}); going on without",
                path.display()
            );
        }
    }
    if !shared {
        // Informational; if the disk refuses, later writes will report it.
        let mut before = String::new();
        let read = file
            .rewind()
            .and_then(|()| (&file).take(200).read_to_string(&mut before));
        if read.is_err() || !(before.is_empty() || before.starts_with("process ")) {
            return Ok(file); // somebody else's file of this name
        }
        let host = rustix::system::uname();
        let holder = format!(
            "process {} on {}\n",
            std::process::id(),
            host.nodename().to_string_lossy()
        );
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = file.write_all(holder.as_bytes());
    }
    Ok(file)
}
