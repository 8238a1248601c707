//! How long an artifact took to make, and what may be deleted of it. What took more
//! than a minute is deleted only where somebody said so.

use crate::difference::Difference;
use crate::manifest::Manifest;
use attend_program::{Error, Result, check_interrupt, whole};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

/// A hidden file of each artifact and staging folder; no content, like the journal.
pub(super) const WORK: &str = ".work.json";

/// What is made again without a question.
const SHORT: u64 = 60;

/// Contents of [`WORK`]. In a staging folder the file's own time says when the last run
/// began.
#[derive(Serialize, Deserialize)]
pub(crate) struct Work {
    /// Seconds that runs worked on it, those before the last one while it is unfinished;
    /// unknown where it was begun by another program.
    pub seconds: Option<u64>,
    /// What it was begun with.
    pub draft: Manifest,
}

impl Work {
    /// What is known of the artifact or staging folder.
    pub(crate) fn read(folder: &Path) -> Option<Work> {
        serde_json::from_slice(&std::fs::read(folder.join(WORK)).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(WORK);
        whole::write(&path, |file| {
            serde_json::to_writer(file, self).map_err(Error::internal)
        })
    }

    /// Seconds that runs worked on a staging folder: a run's last sign of life is the
    /// newest file.
    pub(super) fn spent(folder: &Path) -> Option<u64> {
        let Some(work) = Work::read(folder) else {
            let names = folder.read_dir().into_iter().flatten().flatten();
            let empty = (names.map(|entry| entry.file_name()))
                .all(|name| name.as_encoded_bytes().starts_with(b"."));
            return empty.then_some(0);
        };
        let begun = folder.join(WORK).metadata().and_then(|m| m.modified());
        let session = newest(folder)?.duration_since(begun.ok()?);
        Some(work.seconds? + session.map_or(0, |time| time.as_secs()))
    }
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let times = folder.read_dir().ok()?.flatten().filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        match meta.is_dir() {
            true => newest(&entry.path()),
            false => meta.modified().ok(),
        }
    });
    times.max()
}

/// What a run may do with an older one that was given something else.
pub(crate) struct Rules<'a> {
    /// Whether what took long may be deleted.
    pub discard: bool,
    /// Parameters that make no difference.
    pub unrecorded: &'a [&'a str],
    /// Whether this run comes to what is in that folder, though it has these parameters
    /// otherwise.
    pub extends: &'a dyn Fn(&Path, &[&str]) -> bool,
}

impl Rules<'_> {
    /// Whether a run goes on from what is in `folder`.
    pub(super) fn goes_on(&self, folder: &Path, difference: &Difference) -> bool {
        (difference.only_parameters()).is_some_and(|keys| (self.extends)(folder, &keys))
    }

    /// Asks, where it must, whether `folder`, `seconds` of work, may be deleted.
    ///
    /// # Errors
    /// [`Error::Refused`] where nobody has allowed it.
    pub(super) fn may_delete(
        &self,
        folder: &Path,
        seconds: Option<u64>,
        difference: &Difference,
    ) -> Result<()> {
        let took = seconds.map_or_else(String::new, |seconds| format!(", {}", human(seconds)));
        let what = format!(
            "{}: was made with other {difference}{took}",
            folder.display()
        );
        let long = seconds.is_none_or(|seconds| seconds > SHORT);
        if !long || self.discard {
            tracing::warn!("{what}; beginning anew");
            return Ok(());
        }
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if terminal && confirmed(&what)? {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{what}; nothing was deleted. Use what it was made with, or another --output (run.name), or let this run delete it with --discard"
        )))
    }
}

/// Asks on the terminal; Ctrl-C is an answer, too.
fn confirmed(what: &str) -> Result<bool> {
    let _ = write!(std::io::stderr(), "{what}. Delete it? [y/N] ");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        sender.send(answer)
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(answer) => return Ok(answer.trim().eq_ignore_ascii_case("y")),
            Err(RecvTimeoutError::Timeout) => check_interrupt()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
    }
}

fn human(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s of work"),
        (0, minutes) => format!("{minutes} min of work"),
        (hours, minutes) => format!("{hours} h {minutes} min of work"),
    }
}
