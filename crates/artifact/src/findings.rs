//! Collects what is wrong with an artifact, file by file.
//!
//! Readers and `attend-verify` make the same checks. A reader refuses an artifact and names
//! the first finding; `attend-verify` lists all, and also reads every byte.

use crate::digest::digest_file;
use crate::finding::{Finding, refusal};
use crate::manifest::{FileEntry, short};
use crate::{Artifact, Record};
use attend_program::{At, Error, Result, check_interrupt};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::path::{Path, PathBuf};

/// The findings about an artifact whose manifest was read.
pub(crate) struct Findings<'a> {
    pub(crate) artifact: &'a Artifact,
    /// Whether every byte is read, to compare digests and to look at numbers.
    pub(crate) thorough: bool,
    pub(crate) found: Vec<Finding>,
    /// The files looked at so far, and their BLAKE3; `None` for those that can't be read.
    seen: BTreeMap<String, Option<String>>,
}

impl<'a> Findings<'a> {
    /// Begins to judge `artifact`. Unless `thorough`, its files have the sizes in the
    /// manifest ([`Artifact::open`]).
    pub(crate) fn new(artifact: &'a Artifact, thorough: bool) -> Findings<'a> {
        Findings {
            artifact,
            thorough,
            found: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Takes all files to have the digests in the manifest, which were just computed.
    pub(crate) fn digests_are_known(&mut self) {
        let names = self.artifact.manifest.files.iter();
        let seen = names.map(|file| (file.name.clone(), Some(file.blake3.clone())));
        self.seen = seen.collect();
    }

    /// Refuses the artifact if anything was found.
    ///
    /// # Errors
    /// [`Error::Refused`] with the first finding.
    pub(crate) fn refuse(&self) -> Result<()> {
        refusal(&self.artifact.root, &self.found)
    }

    /// Notes, if `places` is not empty, that these places of a file are `what`: their number
    /// and the first few.
    pub(crate) fn all<T: Display>(
        &mut self,
        file: &str,
        what: &str,
        places: impl IntoIterator<Item = T>,
    ) {
        let mut places = places.into_iter();
        let first: Vec<String> = places.by_ref().take(3).map(|p| p.to_string()).collect();
        let rest = places.count();
        if !first.is_empty() {
            let more = if rest > 0 { ", …" } else { "" };
            self.found.push(Finding {
                place: first.join(", ") + more,
                ..Finding::new(file, format_args!("{} {what}", first.len() + rest))
            });
        }
    }

    /// Notes something about a file as a whole.
    pub(crate) fn note(&mut self, file: &str, what: impl Display) {
        self.found.push(Finding::new(file, what));
    }

    /// Returns what was read; if it was refused, notes that and returns `None`.
    pub(crate) fn take<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        let why = match read {
            Err(Error::Refused(why)) => why,
            other => return other.map(Some),
        };
        let root = format!("{}/", self.artifact.root.display());
        let names = self.artifact.manifest.files.iter();
        let below = why.strip_prefix(&root).and_then(|why| {
            let mut names = names.map(|file| file.name.as_str());
            let name = names.find(|name| {
                let rest = why.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(": "))
            })?;
            Some(Finding::new(name, &why[name.len() + 2..]))
        });
        let mut finding = below.unwrap_or_else(|| Finding::new("", &why));
        if let Some(what) = finding.what.strip_suffix("; make the artifact again") {
            finding.what = what.to_owned();
        }
        self.found.push(finding);
        Ok(None)
    }

    /// Notes the error of a check, if it refused.
    pub(crate) fn add(&mut self, checked: Result<()>) -> Result<()> {
        self.take(checked).map(drop)
    }

    /// The path of a file that the artifact must have; `None` if it can't be read. If every
    /// byte is to be read, compares its digest when it is asked for the first time, so that
    /// what is read next is still in memory.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(crate) fn file(&mut self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.artifact.root.join(name);
        if let Some(digest) = self.seen.get(name) {
            return Ok(digest.is_some().then_some(path));
        }
        let kind = &self.artifact.manifest.kind;
        let digest = match self.artifact.manifest.file(name) {
            Some(entry) if self.thorough => self.compare(entry, &path)?,
            Some(entry) => Some(entry.blake3.clone()),
            None => {
                let why = format!("the manifest lists no such file, but every {kind} has it");
                self.note(name, why);
                None
            }
        };
        let readable = digest.is_some();
        self.seen.insert(name.to_owned(), digest);
        Ok(readable.then_some(path))
    }

    /// The BLAKE3 of a file that can be read, as [`Findings::file`] found it.
    pub(crate) fn digest(&self, name: &str) -> &str {
        let digest = self.seen.get(name).and_then(Option::as_deref);
        digest.unwrap_or_default()
    }

    /// Compares a file with its entry; returns its BLAKE3, or `None` if it can't be read.
    fn compare(&mut self, entry: &FileEntry, path: &Path) -> Result<Option<String>> {
        check_interrupt()?;
        let meta = match path.metadata() {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => {
                self.note(&entry.name, "not a regular file");
                return Ok(None);
            }
            Err(e) => {
                self.note(&entry.name, format_args!("{e}, but the manifest lists it"));
                return Ok(None);
            }
        };
        let digest = match digest_file(path) {
            Ok(digest) => digest,
            Err(e) => {
                let why = e.to_string();
                let prefix = format!("{}: ", path.display());
                self.note(&entry.name, why.strip_prefix(&prefix).unwrap_or(&why));
                return Ok(None);
            }
        };
        if meta.len() != entry.bytes {
            let why = format!(
                "has {} bytes, the manifest says {}",
                meta.len(),
                entry.bytes
            );
            self.note(&entry.name, why);
        } else if digest != entry.blake3 {
            let [found, stated] = [&digest, &entry.blake3].map(|digest| short(digest));
            let why = format!("damaged: its BLAKE3 is {found}…, the manifest says {stated}…");
            self.note(&entry.name, why);
        }
        Ok(Some(digest))
    }

    /// The rows of a table that the artifact must have.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be read; [`Error::Interrupted`].
    pub(crate) fn table<R: Record>(&mut self, name: &str) -> Result<Option<Vec<R>>> {
        let Some(path) = self.file(name)? else {
            return Ok(None);
        };
        let rows = self.take(R::read(&path))?;
        if let Some(rows) = &rows {
            self.rows(name, rows.len());
        }
        Ok(rows)
    }

    /// Compares the number of rows in a file's entry, if it has one, with those found.
    pub(crate) fn rows(&mut self, name: &str, found: usize) {
        let entry = self.artifact.manifest.file(name);
        if let Some(rows) = entry.and_then(|entry| entry.rows)
            && rows != found as u64
        {
            self.note(name, format_args!("{found} rows, the manifest says {rows}"));
        }
    }

    /// Compares the manifest's count of this name, if it has one, with the number found.
    pub(crate) fn count(&mut self, file: &str, name: &str, found: usize) {
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

    /// Notes that the manifest names no data set as an input, if so: the trainer compares
    /// its digest.
    pub(crate) fn needs_dataset(&mut self) {
        let input = self.artifact.manifest.inputs.get("dataset");
        if input.is_none_or(|input| input.kind != "dataset") {
            let why = "\"inputs\" lacks \"dataset\", the data set that it was made from";
            self.note(crate::manifest::FILE, why);
        }
    }

    /// The value of a JSON file that the artifact must have.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be read; [`Error::Interrupted`].
    pub(crate) fn json(&mut self, file: &str) -> Result<Option<Value>> {
        let Some(path) = self.file(file)? else {
            return Ok(None);
        };
        let text = std::fs::read(&path).at(&path)?;
        match serde_json::from_slice(&text) {
            Ok(value) => Ok(Some(value)),
            Err(e) => {
                self.note(file, format_args!("not valid JSON ({e})"));
                Ok(None)
            }
        }
    }

    /// The value of a JSON file that must hold an object.
    ///
    /// # Errors
    /// Those of [`Findings::json`].
    pub(crate) fn object(&mut self, file: &str) -> Result<Option<Map<String, Value>>> {
        match self.json(file)? {
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => {
                self.note(file, "not a JSON object");
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

/// The items that occur again, once for each repetition.
pub(crate) fn twice<T: Copy + Eq + Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.filter(|item| !seen.insert(*item)).collect()
}
