//! The manifest: an artifact's kind, its origin and its files.

use crate::digest::digest_file;
use crate::finding::{Finding, refusal};
use attend_program::{At, Error, Result, loose};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

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

/// A BLAKE3 in hexadecimal.
const DIGEST: &str = "^[0-9a-f]{64}$";

/// Contents of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Manifest {
    /// `dataset`, `vocabulary`, `features`, `model`, `evaluation`, …
    #[schemars(length(min = 1))]
    pub kind: String,
    /// Version of the layout of this kind.
    #[schemars(range(min = 1))]
    pub schema: u32,
    /// The program that made it.
    pub producer: Producer,
    /// The parameters that shaped it: section -> key -> value. No paths.
    #[schemars(with = "Map<String, Value>")]
    pub config: Value,
    /// The inputs that it was made from, by name.
    pub inputs: BTreeMap<String, Input>,
    /// Every file of the artifact except the manifest, sorted by name.
    pub files: Vec<FileEntry>,
    /// Counts, so that a reader need not open the files.
    pub counts: BTreeMap<String, u64>,
    /// BLAKE3 of all of the above, see [`Manifest::compute_digest`].
    #[schemars(regex(pattern = DIGEST))]
    pub digest: String,
}

/// A program, by name and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Producer {
    /// The stage's name, such as `attend-ingest`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its version.
    pub version: String,
}

/// An input that an artifact was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// Kind of the artifact, or a word for a loose file such as `weights`.
    pub kind: String,
    /// The artifact's digest, or the file's BLAKE3.
    pub digest: String,
}

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Path inside the artifact, with `/`.
    #[schemars(regex(pattern = r"^[^./\\]+[^/\\]*(/[^./\\]+[^/\\]*)*$"))]
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of rows, if it is a table or a shard.
    pub rows: Option<u64>,
    /// BLAKE3 of its bytes, in hexadecimal.
    #[schemars(regex(pattern = DIGEST))]
    pub blake3: String,
}

impl Producer {
    fn nobody() -> Producer {
        Producer {
            name: String::new(),
            version: String::new(),
        }
    }
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
        let (manifest, found) = Manifest::examine(folder)?;
        refusal(folder, &found)?;
        manifest.ok_or_else(|| Error::internal(format!("{}: no manifest", folder.display())))
    }

    /// Reads the manifest in `folder`, and everything that is wrong with it. `None` if
    /// nothing can be made of it.
    pub(crate) fn examine(folder: &Path) -> Result<(Option<Manifest>, Vec<Finding>)> {
        let path = folder.join(FILE);
        let none = |file: &str, why: String| Ok((None, vec![Finding::new(file, why)]));
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => {
                let why = match folder.metadata() {
                    Ok(meta) if meta.is_dir() => {
                        "has no manifest.json, so it is not a finished artifact"
                    }
                    Ok(_) => "is a file, not an artifact's folder",
                    Err(_) => "does not exist; run the stage that makes it",
                };
                return none("", why.into());
            }
            Err(e) => return Err(e).at(&path),
        };
        let value: Value = match serde_json::from_slice(&text) {
            Ok(value) => value,
            Err(e) => return none(FILE, format!("not valid JSON ({e})")),
        };
        if let Some((version, newest)) = newer(&value) {
            return none(
                FILE,
                format!(
                    "schema version {version} is newer than version {newest}, the newest that this program knows; update attend"
                ),
            );
        }
        let Value::Object(mut object) = value else {
            return none(FILE, "not a manifest: not a JSON object".into());
        };
        let mut found = Vec::new();
        let fields = &mut object;
        let manifest = Manifest {
            kind: field(fields, "kind", &mut found).unwrap_or_default(),
            schema: field(fields, "schema", &mut found).unwrap_or_default(),
            producer: field(fields, "producer", &mut found).unwrap_or_else(Producer::nobody),
            config: field::<Map<_, _>>(fields, "config", &mut found)
                .unwrap_or_default()
                .into(),
            inputs: field(fields, "inputs", &mut found).unwrap_or_default(),
            files: field(fields, "files", &mut found).unwrap_or_default(),
            counts: field(fields, "counts", &mut found).unwrap_or_default(),
            digest: field(fields, "digest", &mut found).unwrap_or_default(),
        };
        for key in object.keys() {
            found.push(Finding::new(
                FILE,
                format!("holds {key:?}, which no manifest has"),
            ));
        }
        if found.is_empty() {
            manifest.check(&mut found);
        } else {
            manifest.check_files(&mut found);
        }
        Ok((Some(manifest), found))
    }

    /// Notes what is wrong with a manifest that has all fields.
    fn check(&self, found: &mut Vec<Finding>) {
        if self.kind.is_empty() || self.producer.name.is_empty() || self.schema == 0 {
            found.push(Finding::new(
                FILE,
                "kind, producer and schema must say something",
            ));
        }
        self.check_files(found);
        let digest = self.compute_digest();
        if digest != self.digest {
            let why = format!(
                "it states the digest {}, but its content has {}: the manifest was changed",
                short(&self.digest),
                short(&digest)
            );
            found.push(Finding::new(FILE, why));
        }
    }

    /// Notes files that can't be content of the artifact, or that are not sorted by name.
    fn check_files(&self, found: &mut Vec<Finding>) {
        let strange = self.files.iter().filter(|file| !is_content(&file.name));
        found.extend(strange.map(|file| {
            let why = format!(
                "it lists {:?}, which is not in this folder, or is no content",
                file.name
            );
            Finding::new(FILE, why)
        }));
        let unsorted = self.files.array_windows().find(|[a, b]| a.name >= b.name);
        if let Some([a, b]) = unsorted {
            let why = format!(
                "\"files\" are not sorted by name, each once: {:?}, then {:?}",
                a.name, b.name
            );
            found.push(Finding::new(FILE, why));
        }
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

/// Whether a file of this name can be content: inside the artifact, with `/` between
/// folders, neither hidden nor the manifest.
pub(crate) fn is_content(name: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('.');
    name.split('/').all(is_name) && !name.contains(['\\', '\0']) && name != FILE
}

/// Takes a field out of the manifest's object; notes it if it is missing or of another type.
fn field<T: DeserializeOwned>(
    object: &mut Map<String, Value>,
    key: &str,
    found: &mut Vec<Finding>,
) -> Option<T> {
    let Some(value) = object.remove(key) else {
        found.push(Finding::new(FILE, format!("not a manifest: lacks {key:?}")));
        return None;
    };
    match serde_json::from_value(value) {
        Ok(value) => Some(value),
        Err(e) => {
            found.push(Finding {
                place: key.to_owned(),
                ..Finding::new(FILE, format!("not a manifest ({e})"))
            });
            None
        }
    }
}
