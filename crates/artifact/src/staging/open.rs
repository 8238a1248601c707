//! Begins or resumes a staging folder.

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

/// The files that an earlier run finished in `folder`, if this run resumes it.
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
    // A journal without a complete first line is ignored.
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
            "{}: was begun with other {}; finish it, or delete it (`cargo xtask clean --staging`)",
            folder.display(),
            difference.unwrap_or_default()
        )));
    }
    if let Some(difference) = difference {
        if !rules.goes_on(folder, &difference) {
            rules.may_delete(folder, Work::spent(folder), &difference)?;
            return Ok(None);
        }
        tracing::info!("other {difference}, which make no difference here: continuing");
    }
    // This run may make other contents for the files that are entered as finished.
    for path in &paths {
        std::fs::remove_file(path).at(path)?;
    }
    Ok(Some(Lines::new()))
}

impl Staging {
    /// Opens the staging folder of `destination`, keeping the files that an earlier run
    /// with the same draft finished. `draft` is the manifest without files, counts
    /// and digest. With `discard`, output of another draft may be deleted, however long
    /// it took to make.
    ///
    /// # Errors
    /// [`Error::Usage`] and [`Error::Refused`] if `destination` can't be replaced;
    /// [`Error::Internal`] if the folder can't be made.
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

    /// Like [`Staging::open_with`] without `discard`.
    ///
    /// # Errors
    /// Those of [`Staging::open_with`].
    pub fn open(destination: &Path, draft: Manifest) -> Result<Staging> {
        Staging::open_with(destination, draft, false)
    }

    /// Begins or resumes the staging folder of the artifact that will replace `old`.
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
        // Why the old artifact is replaced or continued.
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
            tracing::info!("continuing from {}", folder.display());
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
            kept: Vec::new(),
            inside: Vec::new(),
            _lock: lock,
        };
        staging.write_work()?;
        Ok(staging)
    }
}
