//! The manifest: an artifact's kind, its origin and its files.

use crate::digest::digest_file;
use attend_program::{At, Error, Result, loose};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The schema version that this code writes of artifacts of this kind. It reads earlier ones,
/// too, and they are no reason to make an artifact again.
pub fn schema(kind: &str) -> u32 {
    match kind {
        // 2: encoders have a `kind`.
        "features" | "model" => 2,
        _ => 1,
    }
}

/// The file that makes a folder an artifact. It is written last.
pub const FILE: &str = "manifest.json";

/// Contents of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `dataset`, `vocabulary`, `features`, `model`, `evaluation`, …
    pub kind: String,
    /// Version of the layout of this kind.
    pub schema: u32,
    /// The program that made it.
    pub producer: Producer,
    /// The parameters that shaped it: section -> key -> value. No paths.
    pub config: serde_json::Value,
    /// The inputs that it was made from, by name.
    pub inputs: BTreeMap<String, Input>,
    /// Every file of the artifact except the manifest, sorted by name.
    pub files: Vec<FileEntry>,
    /// Counts, so that a reader need not open the files.
    pub counts: BTreeMap<String, u64>,
    /// BLAKE3 of all of the above, see [`Manifest::compute_digest`].
    pub digest: String,
}

/// A program, by name and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// The stage's name, such as `attend-ingest`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// An input that an artifact was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Kind of the artifact, or a word for a loose file such as `weights`.
    pub kind: String,
    /// The artifact's digest, or the file's BLAKE3.
    pub digest: String,
}

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path inside the artifact, with `/`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of rows, if it is a table or a shard.
    pub rows: Option<u64>,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
}

impl Input {
    /// The input of a loose file that a parameter names.
    ///
    /// # Errors
    /// [`Error::Input`], naming the parameter, if there is no such file or it can't be
    /// read.
    pub fn of_file(parameter: &str, path: &Path, kind: &str) -> Result<Input> {
        let wrong = |why: &str| {
            Err(Error::input(format!(
                "{parameter} = {:?}: {why}",
                path.display().to_string()
            )))
        };
        loose::note(path);
        match path.metadata() {
            Ok(meta) if meta.is_file() => Ok(Input {
                kind: kind.to_owned(),
                digest: digest_file(path).map_err(Error::input)?,
            }),
            Ok(meta) if meta.is_dir() => wrong("a folder; name the file in it"),
            Ok(_) => wrong("not a regular file"),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => wrong("no such file"),
            Err(e) => wrong(&e.to_string()),
        }
    }
}

impl Manifest {
    /// The manifest of an artifact that has not been written yet: without
    /// parameters, inputs and files.
    pub fn draft(kind: &str, producer: &str, version: &str) -> Manifest {
        Manifest {
            kind: kind.to_owned(),
            schema: schema(kind),
            producer: Producer {
                name: producer.to_owned(),
                version: version.to_owned(),
            },
            config: serde_json::json!({}),
            inputs: BTreeMap::new(),
            files: Vec::new(),
            counts: BTreeMap::new(),
            digest: String::new(),
        }
    }

    /// BLAKE3 of kind, schema, producer, config, inputs, files and counts, as compact JSON
    /// with sorted keys. So equal contents have equal digests on every machine.
    pub fn compute_digest(&self) -> String {
        let mut value = serde_json::json!({
            "kind": self.kind, "schema": self.schema, "producer": self.producer,
            "config": self.config, "inputs": self.inputs, "files": self.files, "counts": self.counts,
        });
        value.sort_all_objects();
        blake3::hash(value.to_string().as_bytes())
            .to_hex()
            .to_string()
    }

    /// Reads and checks the manifest of the artifact in `folder`.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none, it is not valid, its
    /// schema is newer than [`schema`] of its kind, or its digest is not that of its content.
    pub fn read(folder: &Path) -> Result<Manifest> {
        let path = folder.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let why = if folder.exists() {
                    "has no manifest.json, so it is not a finished artifact"
                } else {
                    "does not exist"
                };
                return Err(Error::refused(format!(
                    "{} {why}; run the stage that makes it",
                    folder.display()
                )));
            }
            Err(e) => return Err(e).at(&path),
        };
        let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
        let value: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|e| refused(format!("not valid JSON ({e}); make the artifact again")))?;
        if let Some((version, newest)) = newer(&value) {
            return Err(refused(format!(
                "schema version {version} is newer than version {newest}, the newest that this program knows; update attend"
            )));
        }
        let manifest: Manifest = serde_json::from_value(value)
            .map_err(|e| refused(format!("not a manifest ({e}); make the artifact again")))?;
        let leads_out = |file: &&FileEntry| {
            let mut parts = Path::new(&file.name).components();
            !parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(file) = manifest.files.iter().find(leads_out) {
            return Err(refused(format!(
                "it lists {:?}, which is not in this folder",
                file.name
            )));
        }
        let digest = manifest.compute_digest();
        if digest != manifest.digest {
            return Err(refused(format!(
                "it states the digest {}, but its content has {}: the manifest was changed; make the artifact again",
                short(&manifest.digest),
                short(&digest)
            )));
        }
        Ok(manifest)
    }

    /// The entry of a file.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// The schema version in a manifest and the newest of its kind, if the former is newer.
pub(crate) fn newer(manifest: &serde_json::Value) -> Option<(u64, u32)> {
    let kind = manifest.get("kind").and_then(serde_json::Value::as_str);
    let newest = schema(kind.unwrap_or_default());
    let version = manifest.get("schema").and_then(serde_json::Value::as_u64)?;
    (version > newest.into()).then_some((version, newest))
}

/// The first 12 characters of a digest, for messages.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
