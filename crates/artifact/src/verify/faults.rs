//! What is found wrong with an artifact, file by file.

use crate::Artifact;
use attend_program::{At, Error, Result};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

/// The faults of an artifact.
pub(super) struct Faults<'a> {
    pub(super) artifact: &'a Artifact,
    pub(super) found: Vec<Error>,
}

impl Faults<'_> {
    /// `which` of a file are `what`.
    pub(super) fn all<T: Display>(
        &mut self,
        file: &str,
        what: &str,
        which: impl IntoIterator<Item = T>,
    ) {
        let which: Vec<T> = which.into_iter().collect();
        let first: Vec<String> = which.iter().take(3).map(T::to_string).collect();
        if !which.is_empty() {
            let more = if which.len() > 3 { ", …" } else { "" };
            let first = first.join(", ");
            self.note(file, format_args!("{} {what}: {first}{more}", which.len()));
        }
    }

    pub(super) fn note(&mut self, file: &str, what: impl Display) {
        let path = self.artifact.root.join(file);
        self.found
            .push(Error::refused(format!("{}: {what}", path.display())));
    }

    /// Notes what a check finds.
    pub(super) fn add(&mut self, checked: Result<()>) -> Result<()> {
        self.take(checked).map(drop)
    }

    /// What was read; `None` if it was refused, which is noted.
    pub(super) fn take<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Err(Error::Refused(why)) => {
                self.found.push(Error::Refused(why));
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// A count of the manifest, where it has one of this name, against what is there.
    pub(super) fn count(&mut self, file: &str, name: &str, there: usize) {
        match self.artifact.manifest.counts.get(name) {
            Some(said) if *said != there as u64 => {
                self.note(
                    file,
                    format_args!("{there} {name}, the manifest says {said}"),
                );
            }
            _ => {}
        }
    }

    pub(super) fn json(&self, file: &str) -> Result<Value> {
        let path = self.artifact.file(file)?;
        let text = std::fs::read(&path).at(&path)?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::refused(format!("{}: not valid JSON ({e})", path.display())))
    }

    /// A JSON file that must hold an object; else that is noted.
    pub(super) fn object(&mut self, file: &str) -> Map<String, Value> {
        match self.json(file) {
            Ok(Value::Object(object)) => return object,
            Ok(_) => self.note(file, "not a JSON object"),
            Err(error) => self.found.push(error),
        }
        Map::new()
    }
}

/// What comes a second time.
pub(super) fn twice<T: Copy + Eq + Hash>(ids: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    ids.filter(|id| !seen.insert(*id)).collect()
}
