//! The part of a manifest that the runner uses. A stage of another team may leave fields
//! out, and `attend-verify` names them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A manifest.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Manifest {
    /// Kind of the artifact.
    pub kind: String,
    /// Its digest.
    pub digest: String,
    /// The program that made it.
    #[serde(default)]
    pub producer: Producer,
    /// The parameters that shaped it.
    #[serde(default)]
    pub config: Value,
    /// What it was made from, by name.
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    /// Its files.
    #[serde(default)]
    pub files: Vec<File>,
    /// Its counts, such as the number of images, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// An input, by its digest.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The artifact's or file's digest.
    pub digest: String,
}

/// A file of the artifact.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    /// Its path in the artifact.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub blake3: String,
}

impl Manifest {
    /// Reads the manifest of the artifact at `place`; the error says why it can't be read.
    /// `None` if there is none.
    pub fn read(place: &Path) -> Option<Result<Manifest, String>> {
        let path = place.join("manifest.json");
        let text = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
            text => text,
        };
        let text = text.map_err(|e| e.to_string());
        Some(text.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string())))
    }

    /// The manifest with which the work in a staging folder was begun.
    pub fn of_work(staging: &Path) -> Option<Manifest> {
        let text = std::fs::read(staging.join(".work.json")).ok()?;
        let mut work: Value = serde_json::from_slice(&text).ok()?;
        serde_json::from_value(work.get_mut("draft")?.take()).ok()
    }

    /// The first 12 characters of the digest.
    pub fn short(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }
}
