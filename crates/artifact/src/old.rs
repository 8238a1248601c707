//! Reads what exists at the output path before the stage runs.

use crate::difference::Difference;
use crate::digest::digest_file;
use crate::manifest::{FileEntry, Manifest};
use crate::staging::journal::{self, JOURNAL, Line, Lines, fingerprint};
use crate::staging::place;
use crate::staging::work::Work;
use attend_program::{Error, Result};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// The contents of an artifact that must be reproduced exactly.
pub(crate) struct Before {
    /// Its files, as far as they are known, by name.
    pub entries: BTreeMap<String, FileEntry>,
    /// Its counts; `None` if the manifest is damaged, so that some files may be unknown.
    pub counts: Option<BTreeMap<String, u64>>,
}

/// An existing artifact, whole or damaged.
pub(crate) struct Old {
    pub root: PathBuf,
    /// `None` if it is damaged.
    pub manifest: Option<Manifest>,
    /// Its journal; empty if it has none.
    pub lines: Lines,
    /// Fingerprint of the run that made it, from the journal.
    fingerprint: Option<String>,
    work: Option<Work>,
}

impl Old {
    /// Reads the artifact at `output`, if there is one; refuses a folder that no stage made.
    pub(crate) fn find(output: &Path, draft: &Manifest) -> Result<Option<Old>> {
        if !place::check(output, draft)? {
            return Ok(None);
        }
        let manifest = match Manifest::read(output) {
            Ok(manifest) => Some(manifest),
            Err(Error::Refused(why)) => {
                tracing::warn!("{why}");
                None
            }
            Err(e) => return Err(e),
        };
        let (fingerprint, lines) = match journal::entered(&output.join(JOURNAL)) {
            Some((fingerprint, lines, _)) => (Some(fingerprint), lines),
            None => (None, Lines::new()),
        };
        Ok(Some(Old {
            root: output.to_owned(),
            manifest,
            lines,
            fingerprint,
            work: Work::read(output),
        }))
    }

    /// Its manifest or, if that is damaged, the one that it was begun with.
    pub(crate) fn made_with(&self) -> Option<&Manifest> {
        let of_work = self.work.as_ref().map(|work| &work.draft);
        self.manifest.as_ref().or(of_work)
    }

    /// How `draft` differs from what this artifact was made with.
    pub(crate) fn difference(&self, draft: &Manifest, unrecorded: &[&str]) -> Option<Difference> {
        match self.made_with() {
            Some(old) => Difference::between(old, draft, unrecorded),
            None => {
                let same = self.fingerprint.as_ref() == Some(&fingerprint(draft));
                (!same).then(Difference::default)
            }
        }
    }

    /// Seconds that it took to make, if that is known.
    pub(crate) fn seconds(&self) -> Option<u64> {
        self.work.as_ref().and_then(|work| work.seconds)
    }

    /// Hash of the loose files that a piece was made from.
    pub(crate) fn sources(&self, name: &str) -> Option<&String> {
        let known = self.lines.get(name).map(|line| &line.sources);
        // A program that keeps no journal doesn't use loose files either.
        const NONE: &String = &String::new();
        known.or(self.manifest.as_ref()?.file(name).map(|_| NONE))
    }

    /// The contents that this artifact had, or should have.
    pub(crate) fn before(&self) -> Before {
        let entries = self.entries().into_iter();
        Before {
            entries: entries.map(|e| (e.name.clone(), e.clone())).collect(),
            counts: self
                .manifest
                .as_ref()
                .map(|manifest| manifest.counts.clone()),
        }
    }

    /// The journal's line of the file `name`, or one with only the manifest's entry.
    pub(crate) fn line(&self, name: &str) -> Option<Line> {
        let entry = self
            .entries()
            .into_iter()
            .find(|entry| entry.name == name)?;
        let known = self.lines.get(name).filter(|line| line.entry == *entry);
        Some(known.cloned().unwrap_or_else(|| Line {
            entry: entry.clone(),
            sources: String::new(),
            notes: None,
            adopted: false,
        }))
    }

    /// Files that are missing or have the wrong size.
    pub(crate) fn short(&self) -> Vec<String> {
        let is_whole = |path: &Path, bytes: u64, _: &str| {
            Ok::<_, Infallible>(std::fs::metadata(path).is_ok_and(|meta| meta.len() == bytes))
        };
        let Ok(short) = self.bad(is_whole);
        short
    }

    /// Files that are missing or have the wrong digest; reads every file.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(crate) fn damaged(&self) -> Result<Vec<String>> {
        self.bad(|path, _, digest| {
            attend_program::check_interrupt()?;
            Ok(digest_file(path).is_ok_and(|d| d == digest))
        })
    }

    fn entries(&self) -> Vec<&FileEntry> {
        match &self.manifest {
            Some(manifest) => manifest.files.iter().collect(),
            None => self.lines.values().map(|line| &line.entry).collect(),
        }
    }

    fn bad<E>(&self, good: impl Fn(&Path, u64, &str) -> Result<bool, E>) -> Result<Vec<String>, E> {
        let mut bad = Vec::new();
        for entry in self.entries() {
            if !good(&self.root.join(&entry.name), entry.bytes, &entry.blake3)? {
                tracing::warn!("{}: damaged or gone", self.root.join(&entry.name).display());
                bad.push(entry.name.clone());
            }
        }
        Ok(bad)
    }
}
