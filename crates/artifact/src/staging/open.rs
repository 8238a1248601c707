//! How a staging folder is begun, or gone on with.

use super::disk;
use super::folder::{Staging, folder_of};
use super::journal::{self, JOURNAL, Journal, Lines, fingerprint};
use super::lock::Lock;
use super::piece::Share;
use super::place;
use super::work::{Rules, Work};
use crate::difference::Difference;
use crate::manifest::Manifest;
use crate::old::Old;
use attend_program::{At, Error, Result};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// What an earlier run has finished in `folder`, if this one goes on from it.
fn begun(
    folder: &Path,
    draft: &Manifest,
    share: Share,
    rules: &Rules<'_>,
) -> Result<Option<Lines>> {
    if !place::is_begun(folder)? {
        return Ok(None);
    }
    let fingerprint = fingerprint(draft);
    let paths = journal::all(folder);
    // One that was cut before its first line was whole says nothing.
    let journals: Vec<_> = (paths.iter())
        .filter_map(|path| journal::read(path))
        .collect();
    if !journals.is_empty() && journals.iter().all(|(first, ..)| *first == fingerprint) {
        let lines = journals.into_iter().flat_map(|(_, lines, _)| lines);
        return Ok(Some(lines.collect()));
    }
    let difference = match Work::read(folder) {
        Some(work) => Difference::between(&work.draft, draft, rules.unrecorded),
        None if journals.is_empty() => return Ok(None),
        None => Some(Difference::default()),
    };
    if share != Share::All {
        return Err(Error::refused(format!(
            "{}: was begun with other {}; finish that, or delete it (`cargo xtask clean --staging`)",
            folder.display(),
            difference.unwrap_or_default()
        )));
    }
    if let Some(difference) = difference {
        if !rules.goes_on(folder, &difference) {
            rules.may_delete(folder, Work::spent(folder), &difference)?;
            return Ok(None);
        }
        tracing::info!("other {difference}: goes on all the same");
    }
    // What it has finished may become something else.
    for path in &paths {
        std::fs::remove_file(path).at(path)?;
    }
    Ok(Some(Lines::new()))
}

impl Staging {
    /// Opens the staging folder of `destination`, keeping what an earlier run
    /// with the same draft has finished. `draft` holds all but the files, counts
    /// and digest. With `discard` what was made with another draft may be deleted,
    /// however long it took.
    ///
    /// # Errors
    /// [`Error::Usage`] and [`Error::Refused`] where `destination` can't be replaced;
    /// [`Error::Internal`] where the folder can't be made.
    pub fn open_with(destination: &Path, draft: Manifest, discard: bool) -> Result<Staging> {
        let destination = place::destination(destination)?;
        let lock = Lock::wait(&destination, Share::All)?;
        let old = Old::find(&destination, &draft)?;
        let rules = Rules {
            discard,
            unrecorded: &[],
            extends: &|_, _| false,
        };
        Staging::share(draft, Share::All, lock, old.as_ref(), &rules)
    }

    /// As [`Staging::open_with`], without leave to delete.
    ///
    /// # Errors
    /// As there.
    pub fn open(destination: &Path, draft: Manifest) -> Result<Staging> {
        Staging::open_with(destination, draft, false)
    }

    /// Begins, or goes on, to write what takes the place of `old`.
    pub(crate) fn share(
        draft: Manifest,
        share: Share,
        lock: Lock,
        old: Option<&Old>,
        rules: &Rules<'_>,
    ) -> Result<Staging> {
        let destination = lock.destination.clone();
        place::check_files(&destination, &draft)?;
        let folder = folder_of(&destination);
        let is_task = matches!(share, Share::Task { .. });
        let begun = begun(&folder, &draft, share, rules)?;
        let goes_on = begun.is_some();
        // What an older artifact is replaced for, or gone on from.
        let changed = old.and_then(|old| old.difference(&draft, rules.unrecorded));
        let mut before = None;
        if let (Some(old), Some(difference)) = (old, &changed) {
            if rules.goes_on(&old.root, difference) {
                before = Some(old.root.clone());
            } else if !goes_on {
                rules.may_delete(&old.root, old.seconds(), difference)?;
            }
        }
        let seconds = match (goes_on, &before) {
            (true, _) => Work::spent(&folder),
            (false, Some(_)) => old.and_then(Old::seconds),
            (false, None) => Some(0),
        };
        if goes_on && !is_task {
            tracing::info!("going on from {}", folder.display());
        } else if !(goes_on || is_task) {
            disk::remove_staging(&folder)?;
        }
        std::fs::create_dir_all(&folder).at(&folder)?;
        let name = match share {
            Share::Task { index, count } => journal::of_task(index, count),
            _ => JOURNAL.to_owned(),
        };
        let journal = Journal::open(folder.join(name), &fingerprint(&draft), is_task)?;
        let staging = Staging {
            folder,
            destination,
            draft,
            share,
            others: begun.unwrap_or_default(),
            journal: Mutex::new(journal),
            before,
            must_equal: None,
            seconds,
            begun: Instant::now(),
            _lock: lock,
        };
        staging.write_work()?;
        Ok(staging)
    }
}
