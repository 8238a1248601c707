//! Collects the faults of an artifact, file by file.

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
    /// Notes, if `which` is not empty, that these items of a file are `what`: their number
    /// and the first few.
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

    /// Notes the error of a check, if it refused.
    pub(super) fn add(&mut self, checked: Result<()>) -> Result<()> {
        self.take(checked).map(drop)
    }

    /// Returns what was read; if it was refused, notes that and returns `None`.
    pub(super) fn take<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Err(Error::Refused(why)) => {
                self.found.push(Error::Refused(why));
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Compares the manifest's count of this name, if it has one, with the number found.
    pub(super) fn count(&mut self, file: &str, name: &str, found: usize) {
        match self.artifact.manifest.counts.get(name) {
            Some(stated) if *stated != found as u64 => {
                self.note(
                    file,
                    format_args!("{found} {name}, the manifest says {stated}"),
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

    /// Reads a JSON file that must hold an object; notes a fault if it does not.
    pub(super) fn object(&mut self, file: &str) -> Map<String, Value> {
        match self.json(file) {
            Ok(Value::Object(object)) => return object,
            Ok(_) => self.note(file, "not a JSON object"),
            Err(error) => self.found.push(error),
        }
        Map::new()
    }
}

/// The items that occur again, once for each repetition.
pub(super) fn twice<T: Copy + Eq + Hash>(ids: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    ids.filter(|id| !seen.insert(*id)).collect()
}
