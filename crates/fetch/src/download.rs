//! Brings a file: resumes it, tries again, verifies it.

use crate::client::{Client, Failure};
use crate::list::Entry;
use crate::part::Part;
use crate::unpack::unpack;
use attend_program::text::{hex, human};
use attend_program::{At, Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Number of requests in a row that may bring nothing.
const ATTEMPTS: u32 = 5;

/// What has come of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there.
    Present,
    /// It has arrived.
    Arrived,
}

/// How a file is brought.
pub struct Downloader<'a> {
    /// Asks servers.
    pub client: Client,
    /// An address that stands for those of the list.
    pub mirror: Option<&'a str>,
    /// The time before the second request; it doubles with each one that brings nothing.
    pub pause: Duration,
}

impl Downloader<'_> {
    /// Brings a file, or what is in it, into `folder`. Does nothing if it is there.
    ///
    /// # Errors
    /// [`Error::Input`] if another file has its name, [`Error::Internal`] with the server's
    /// answer, or if what has arrived is not what the list says.
    pub fn bring(&self, entry: &Entry, folder: &Path) -> Result<Outcome> {
        let path = folder.join(entry.name());
        if is_there(entry, folder)? {
            return Ok(Outcome::Present);
        }
        if !path.exists() {
            let mut part = Part::open(&path)?;
            room(entry, &part, folder)?;
            self.complete(entry, &mut part)?;
            match verify(entry, part.path()) {
                Ok(()) => part.finish()?,
                Err(why) => {
                    part.delete();
                    return Err(Error::internal(format!(
                        "{}: {why}; it was deleted; --mirror takes another server",
                        entry.url
                    )));
                }
            }
        }
        if !entry.unpack.is_empty() {
            unpack(&path, &entry.unpack, folder)?;
            std::fs::remove_file(&path).at(&path)?;
        }
        Ok(Outcome::Arrived)
    }

    /// Asks until all has arrived.
    fn complete(&self, entry: &Entry, part: &mut Part) -> Result<()> {
        let mut urls = entry.urls(self.mirror).into_iter();
        let mut url = urls.next().unwrap_or_default();
        let (mut attempt, mut pause) = (1, self.pause);
        while entry.bytes != Some(part.bytes()) {
            let before = part.bytes();
            let (why, wait) = match self.client.get(&url, entry, part) {
                Ok(()) => break,
                Err(Failure::Again(why, wait)) => (why, wait),
                Err(Failure::End(error)) => return Err(error),
                Err(Failure::Absent(why)) => match urls.next() {
                    Some(next) => {
                        url = next;
                        continue;
                    }
                    None => {
                        let hint = "the address may have moved; --mirror takes another server";
                        return Err(Error::internal(format!("{why}; {hint}")));
                    }
                },
            };
            if part.bytes() > before {
                (attempt, pause) = (1, self.pause);
            }
            if attempt == ATTEMPTS {
                return Err(Error::internal(format!(
                    "{url}: {why}; gave up after {ATTEMPTS} requests that brought nothing. What has arrived ({}) is kept, and the same command goes on",
                    human(part.bytes())
                )));
            }
            let wait = wait.unwrap_or(pause);
            tracing::warn!(
                "{}: {why}; asking again in {} s",
                entry.name(),
                wait.as_secs()
            );
            sleep(wait);
            (attempt, pause) = (attempt + 1, pause * 2);
        }
        Ok(())
    }
}

/// Whether the file is there, or, if it is an archive to unpack, all that is in it.
///
/// # Errors
/// [`Error::Input`] if another file has its name.
pub fn is_there(entry: &Entry, folder: &Path) -> Result<bool> {
    let mut unpacked = entry.unpack.iter();
    if !entry.unpack.is_empty() && unpacked.all(|name| folder.join(name).is_file()) {
        return Ok(true);
    }
    let path = folder.join(entry.name());
    if !path.exists() {
        return Ok(false);
    }
    match verify(entry, &path) {
        Ok(()) => Ok(entry.unpack.is_empty()),
        Err(why) => Err(Error::input(format!(
            "{}: {why}, so it is another file; move it away to download this one",
            path.display()
        ))),
    }
}

/// Compares size and digest of a file with those of the list; the error says what differs.
fn verify(entry: &Entry, path: &Path) -> Result<(), String> {
    let said = |e: std::io::Error| e.to_string();
    let bytes = path.metadata().map_err(said)?.len();
    if let Some(expected) = entry.bytes.filter(|expected| *expected != bytes) {
        return Err(format!("it has {bytes} bytes instead of {expected}"));
    }
    let Some(expected) = &entry.sha256 else {
        return Ok(());
    };
    let (mut file, mut hash) = (File::open(path).map_err(said)?, Sha256::new());
    std::io::copy(&mut file, &mut hash).map_err(said)?;
    let digest = hex(hash.finalize());
    match digest.starts_with(expected.as_str()) {
        true => Ok(()),
        false => Err(format!(
            "its SHA-256 is {digest} and should begin with {expected}"
        )),
    }
}

/// Fails if the disk has no room for what is still to come.
fn room(entry: &Entry, part: &Part, folder: &Path) -> Result<()> {
    let Some(bytes) = entry.bytes.or(entry.about) else {
        return Ok(());
    };
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let missing = bytes.saturating_sub(part.bytes());
    match missing > free {
        true => Err(Error::internal(format!(
            "{}: {} are missing of {}, but only {} are free there; --to takes another folder",
            folder.display(),
            human(missing),
            entry.name(),
            human(free)
        ))),
        false => Ok(()),
    }
}
