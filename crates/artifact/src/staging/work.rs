//! Records how long an artifact took to make. Output that took more than a minute is
//! deleted only with consent.

use crate::difference::Difference;
use crate::manifest::Manifest;
use attend_program::question::ask;
use attend_program::text::duration;
use attend_program::{Error, Result, whole};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::SystemTime;

/// A hidden file of each artifact and staging folder; like the journal, it is not content.
pub(super) const WORK: &str = ".work.json";

/// Seconds of work that may be deleted without a question.
const SHORT: u64 = 60;

/// Contents of [`WORK`]. In a staging folder, the last run began at the file's
/// modification time.
#[derive(Serialize, Deserialize)]
pub(crate) struct Work {
    /// Seconds that runs worked on it, without the last run while it is unfinished;
    /// `None` if another program began it.
    pub seconds: Option<u64>,
    /// The manifest that it was begun with.
    pub draft: Manifest,
}

impl Work {
    /// Reads [`WORK`] of an artifact or staging folder.
    pub(crate) fn read(folder: &Path) -> Option<Work> {
        serde_json::from_slice(&std::fs::read(folder.join(WORK)).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(WORK);
        whole::write(&path, |file| {
            serde_json::to_writer(file, self).map_err(Error::internal)
        })
    }

    /// Seconds that runs worked on a staging folder. The last run is taken to have ended at
    /// the time of the newest file.
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

/// What a run may do with output of other parameters or inputs.
pub(crate) struct Rules<'a> {
    /// Whether output may be deleted even if it took long.
    pub discard: bool,
    /// Parameters that don't shape the output.
    pub unrecorded: &'a [&'a str],
    /// Whether this run would reach the state in the given folder although the given
    /// parameters differ.
    pub extends: &'a dyn Fn(&Path, &[&str]) -> bool,
}

impl Rules<'_> {
    /// Whether a run continues from the state in `folder`.
    pub(super) fn goes_on(&self, folder: &Path, difference: &Difference) -> bool {
        (difference.only_parameters()).is_some_and(|keys| (self.extends)(folder, &keys))
    }

    /// Asks, if necessary, whether `folder` with `seconds` of work may be deleted.
    ///
    /// # Errors
    /// [`Error::Refused`] without consent.
    pub(super) fn may_delete(
        &self,
        folder: &Path,
        seconds: Option<u64>,
        difference: &Difference,
    ) -> Result<()> {
        let took = seconds.map_or_else(String::new, |seconds| {
            format!(", {} of work", duration(seconds))
        });
        let what = format!(
            "{}: was made with other {difference}{took}",
            folder.display()
        );
        let long = seconds.is_none_or(|seconds| seconds > SHORT);
        if !long || self.discard {
            tracing::info!("{what}; starting over");
            return Ok(());
        }
        if ask(&format!("{what}. Delete it?"))? == Some(true) {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{what}; nothing was deleted. Repeat its parameters and inputs, name another --output (run.name), or let this run delete it with --discard"
        )))
    }
}
