//! The manifest: an artifact's kind, its origin and its files. `read` reads and checks it.

mod read;

use crate::digest::digest_file;
use attend_program::{Error, Result, fetch, loose};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use read::{is_content, newer};

/// The schema version that this code writes of artifacts of this kind. It reads earlier ones,
/// too, and they are no reason to make an artifact again.
pub fn schema(kind: &str) -> u32 {
    match kind {
        // 2: encoders have a `kind`.
        "features" | "model" => 2,
        // 2: `words.parquet`.
        "evaluation" => 2,
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
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let hint = fetch::hint(&path.to_string_lossy());
                let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
                wrong(&format!("no such file{hint}"))
            }
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

    /// The entry of a file.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// The first 12 characters of a digest, for messages.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
