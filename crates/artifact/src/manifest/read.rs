//! Reads a manifest, and finds what is wrong with it.

use super::{FILE, Manifest, Producer, schema, short};
use crate::finding::{Finding, refusal};
use attend_program::{At, Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::io::ErrorKind;
use std::path::Path;

impl Manifest {
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
        let nobody = Producer {
            name: String::new(),
            version: String::new(),
        };
        let mut found = Vec::new();
        let fields = &mut object;
        let mut manifest = Manifest {
            kind: field(fields, "kind", &mut found).unwrap_or_default(),
            schema: field(fields, "schema", &mut found).unwrap_or_default(),
            producer: field(fields, "producer", &mut found).unwrap_or(nobody),
            config: field::<Map<_, _>>(fields, "config", &mut found)
                .unwrap_or_default()
                .into(),
            inputs: field(fields, "inputs", &mut found).unwrap_or_default(),
            files: field(fields, "files", &mut found).unwrap_or_default(),
            counts: field(fields, "counts", &mut found).unwrap_or_default(),
            digest: field(fields, "digest", &mut found).unwrap_or_default(),
        };
        let is_typed = found.is_empty();
        found.extend(object.keys().map(|key| {
            let why = format!("holds {key:?}, which no manifest has");
            Finding::new(FILE, why)
        }));
        manifest.check_files(&mut found);
        if is_typed {
            manifest.check(&mut found);
        }
        manifest.files.retain(|file| is_content(&file.name));
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
}

/// The schema version in a manifest and the newest of its kind, if the former is newer.
pub(crate) fn newer(manifest: &Value) -> Option<(u64, u32)> {
    let kind = manifest.get("kind").and_then(Value::as_str);
    let newest = schema(kind.unwrap_or_default());
    let version = manifest.get("schema").and_then(Value::as_u64)?;
    (version > newest.into()).then_some((version, newest))
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
