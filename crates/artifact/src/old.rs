//! What stands in an output's place before its stage runs.

use crate::manifest::{self, FileEntry, Manifest};
use crate::staging::fingerprint;
use crate::staging::journal::{self, JOURNAL, Line, Lines};
use crate::{Error, Result, StageSpec, digest_file};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What an artifact held that is to come out as it was.
pub(crate) struct Before {
    /// Its files, as far as they are known, by name.
    pub entries: BTreeMap<String, FileEntry>,
    /// Its counts; `None` where the manifest is damaged, and some files may not be known.
    pub counts: Option<BTreeMap<String, u64>>,
}

/// An artifact, whole or damaged.
pub(crate) struct Old {
    root: PathBuf,
    /// Nothing where it is damaged.
    pub manifest: Option<Manifest>,
    /// What is known of its files, where it has kept that.
    pub lines: Lines,
    /// Of the run that made it.
    fingerprint: Option<String>,
}

impl Old {
    /// Looks at `output`. A folder that is none of ours is not touched.
    pub(crate) fn find(output: &Path, spec: &StageSpec, draft: &Manifest) -> Result<Option<Old>> {
        let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
        if !output.exists() || output.read_dir().is_ok_and(is_empty) {
            return Ok(None);
        }
        let refuse = |why: String| {
            Err(Error::refused(format!(
                "--output {}: {why}; name another place or move it away",
                output.display()
            )))
        };
        let journal = journal::entered(&output.join(JOURNAL));
        if !output.join(manifest::FILE).exists() && journal.is_none() {
            return refuse("there is something that is no artifact".into());
        }
        let manifest = match Manifest::read(output) {
            Ok(manifest) if manifest.kind != draft.kind => {
                return refuse(format!(
                    "there is an artifact of kind {:?}, which {} does not make",
                    manifest.kind, spec.name
                ));
            }
            Ok(manifest) => Some(manifest),
            Err(Error::Refused(why)) => {
                tracing::warn!("{why}");
                None
            }
            Err(e) => return Err(e),
        };
        let (fingerprint, lines) = match journal {
            Some((fingerprint, lines, _)) => (Some(fingerprint), lines),
            None => (None, Lines::new()),
        };
        Ok(Some(Old {
            root: output.to_owned(),
            manifest,
            lines,
            fingerprint,
        }))
    }

    /// What this artifact was made with that `draft` has otherwise, in words.
    pub(crate) fn difference(&self, draft: &Manifest) -> Option<String> {
        let Some(old) = &self.manifest else {
            let same = self.fingerprint.as_ref() == Some(&fingerprint(draft));
            return (!same).then(|| "parameters or inputs".to_owned());
        };
        if old.producer != draft.producer || old.schema != draft.schema {
            return Some(format!(
                "programs ({} {})",
                old.producer.name, old.producer.version
            ));
        }
        if old.inputs != draft.inputs {
            let differs = |name: &&String| old.inputs.get(*name) != draft.inputs.get(*name);
            let names = old.inputs.keys().chain(draft.inputs.keys()).find(differs);
            return Some(format!("inputs ({})", names.map_or("", String::as_str)));
        }
        let keys = differences(&old.config, &draft.config);
        (!keys.is_empty()).then(|| format!("parameters ({})", keys.join(", ")))
    }

    /// Hash over the loose files that a piece was made from.
    pub(crate) fn sources(&self, name: &str) -> Option<&String> {
        let known = self.lines.get(name).map(|line| &line.sources);
        // A program that keeps no journal has no loose files either.
        const NONE: &String = &String::new();
        known.or(self.manifest.as_ref()?.file(name).map(|_| NONE))
    }

    /// What this artifact held, or should.
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

    /// The file `name` with all that is known of it.
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

    /// Files that are missing or not as long as they should be.
    pub(crate) fn short(&self) -> Vec<String> {
        self.bad(|path, bytes, _| Ok(std::fs::metadata(path).is_ok_and(|m| m.len() == bytes)))
            .unwrap_or_default()
    }

    /// Files that are not what they should be; every file is read.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(crate) fn damaged(&self) -> Result<Vec<String>> {
        self.bad(|path, _, digest| {
            crate::check_interrupt()?;
            Ok(digest_file(path).is_ok_and(|d| d == digest))
        })
    }

    fn entries(&self) -> Vec<&FileEntry> {
        match &self.manifest {
            Some(manifest) => manifest.files.iter().collect(),
            None => self.lines.values().map(|line| &line.entry).collect(),
        }
    }

    fn bad(&self, good: impl Fn(&Path, u64, &str) -> Result<bool>) -> Result<Vec<String>> {
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

/// Names of the parameters that differ, `section.key`.
fn differences(a: &serde_json::Value, b: &serde_json::Value) -> Vec<String> {
    let sections = |value: &serde_json::Value| value.as_object().cloned().unwrap_or_default();
    let (a, b) = (sections(a), sections(b));
    let mut names = Vec::new();
    for section in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
        let none = serde_json::Value::Null;
        let (x, y) = (
            a.get(section).unwrap_or(&none),
            b.get(section).unwrap_or(&none),
        );
        let (x, y) = (sections(x), sections(y));
        let keys = x.keys().chain(y.keys().filter(|key| !x.contains_key(*key)));
        let differ = keys.filter(|key| x.get(*key) != y.get(*key));
        names.extend(differ.map(|key| format!("{section}.{key}")));
    }
    names
}
