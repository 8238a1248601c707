//! Turns a staging folder into an artifact.

use super::disk::{self, REPLACED, remove, write_synced};
use super::folder::{SCRATCH, Staging};
use super::journal::{JOURNAL, fingerprint};
use super::notes::notes_of;
use super::place::check_files;
use super::work::WORK;
use crate::manifest::{FILE, FileEntry, Manifest};
use crate::old::Before;
use attend_program::{At, Error, Result, loose, whole};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Staging {
    /// Commits an artifact of which [`Staging::lacks_only`] pieces had to be made.
    ///
    /// # Errors
    /// Those of [`Staging::commit`].
    #[expect(clippy::expect_used, reason = "without counts `lacks_only` is false")]
    pub fn commit_as_before(self) -> Result<Manifest> {
        let counts = self.must_equal.as_ref().and_then(|old| old.counts.clone());
        let counts = counts.expect("counts that are known");
        let counts: Vec<_> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        self.commit(&counts)
    }

    /// Writes the manifest, syncs, and moves the artifact to its destination, replacing
    /// an older one.
    ///
    /// # Errors
    /// [`Error::Internal`] if writing fails; [`Error::Refused`] if the artifact had to be
    /// reproduced exactly and was not. The staging folder stays.
    pub fn commit(mut self, counts: &[(&str, u64)]) -> Result<Manifest> {
        let mut lines = self.others.clone();
        lines.extend(self.journal().lines.clone());
        let mut manifest = self.draft.clone();
        manifest.files = lines.values().map(|line| line.entry.clone()).collect();
        manifest.counts = counts
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect();
        manifest.digest = manifest.compute_digest();
        if let Some(before) = &self.must_equal {
            same(before, &manifest, &self.destination)?;
        }
        check_files(&self.destination, &self.draft)?;
        for name in [SCRATCH, REPLACED] {
            remove(&self.folder.join(name))?;
        }
        let keep: BTreeSet<PathBuf> = lines
            .values()
            .flat_map(|line| {
                let notes = line
                    .notes
                    .as_ref()
                    .map(|_| notes_of("".as_ref(), &line.entry.name));
                notes.into_iter().chain([PathBuf::from(&line.entry.name)])
            })
            .chain(self.kept.iter().cloned())
            .collect();
        let mut journal = format!("{}\n", fingerprint(&self.draft));
        for line in lines.values_mut() {
            line.adopted = false;
            journal += &serde_json::to_string(line).map_err(Error::internal)?;
            journal.push('\n');
        }
        // Renames in one step: after a kill here, the next run continues from the old journal.
        whole::write_bytes(&self.folder.join(JOURNAL), journal)?;
        remove_others(&self.folder, "".as_ref(), &keep)?;
        self.seconds = (self.seconds).map(|before| before + self.begun.elapsed().as_secs());
        self.write_work()?;
        loose::write(&self.folder, &self.inside)?;
        let text = serde_json::to_string_pretty(&manifest).map_err(Error::internal)?;
        let file = self.folder.join(FILE);
        write_synced(&file, format!("{text}\n").as_bytes())?;
        let readers = file.metadata().at(&file)?.permissions().mode() & 0o444;
        disk::sync_folders(&self.folder, readers)?;
        disk::replace(&self.folder, &self.destination)?;
        Ok(manifest)
    }
}

/// Refuses an artifact that had to be reproduced exactly and was not.
fn same(before: &Before, now: &Manifest, place: &Path) -> Result<()> {
    let differs = |file: &&FileEntry| match before.entries.get(&file.name) {
        Some(entry) => entry != *file,
        None => before.counts.is_some(),
    };
    let names: Vec<&str> = (now.files.iter().filter(differs))
        .map(|file| file.name.as_str())
        .collect();
    let counts = before
        .counts
        .as_ref()
        .is_none_or(|counts| *counts == now.counts);
    if names.is_empty() && counts {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{}: {} would not come out as before, because its sources or its program have changed; the artifact is kept as it is. Run the stage without --shards and --repair to accept the change",
        place.display(),
        match names.as_slice() {
            [] => "a file".to_owned(),
            [only] => (*only).to_owned(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        }
    )))
}

/// Removes all files except `keep`, such as half-written files of an interrupted run.
fn remove_others(root: &Path, below: &Path, keep: &BTreeSet<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in std::fs::read_dir(&folder).at(&folder)? {
        let entry = entry.at(&folder)?;
        let name = below.join(entry.file_name());
        let is_folder = entry.file_type().at(&folder)?.is_dir();
        if is_folder {
            remove_others(root, &name, keep)?;
        } else if !keep.contains(&name) && name != Path::new(JOURNAL) && name != Path::new(WORK) {
            std::fs::remove_file(entry.path()).at(&entry.path())?;
        }
    }
    Ok(())
}
