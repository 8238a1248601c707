//! Reads artifacts: a manifest and the files beside it.

use attend_artifact::vocabulary::Tokenizer;
use attend_program::{Error, Result};
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Newest schema version of artifacts that this program reads.
const SCHEMA: u32 = 1;

/// An artifact's folder and manifest.
pub(crate) struct Artifact {
    folder: PathBuf,
    manifest: ManifestSummary,
}

#[derive(Deserialize)]
struct ManifestSummary {
    kind: String,
    schema: u32,
    digest: String,
    inputs: BTreeMap<String, Input>,
}

#[derive(Deserialize)]
struct Input {
    digest: String,
}

/// The part of `vocab.json` that matters here.
#[derive(Deserialize)]
pub(crate) struct Vocabulary {
    /// How captions are split into words.
    pub(crate) tokenizer: Tokenizer,
    /// Minimum count of a word in the train captions.
    pub(crate) min_count: u64,
    /// Maximum number of words of a caption.
    pub(crate) max_length: u64,
    words: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    word: String,
}

impl Vocabulary {
    pub(crate) fn words(&self) -> Vec<&str> {
        self.words.iter().map(|word| word.word.as_str()).collect()
    }
}

impl Artifact {
    /// Opens the artifact in `folder`, which must be of the given kind.
    pub(crate) fn open(folder: &Path, kind: &str) -> Result<Artifact> {
        let wrong = |why: String| Err(Error::input(format!("{}: {why}", folder.display())));
        if !folder.is_dir() {
            return wrong(format!(
                "no such folder; name the folder of a {kind} artifact"
            ));
        }
        let path = folder.join("manifest.json");
        if !path.exists() {
            return wrong(format!(
                "has no manifest.json, so it is no finished artifact; name the folder of a {kind} artifact"
            ));
        }
        let manifest: ManifestSummary = read_json(&path)?;
        if manifest.kind != kind {
            let found = &manifest.kind;
            return wrong(format!(
                "an artifact of kind {found:?}, but {kind:?} is needed here"
            ));
        }
        if manifest.schema > SCHEMA {
            let newer = manifest.schema;
            return wrong(format!(
                "schema version {newer} is newer than {SCHEMA}, the newest that this program reads; update attend"
            ));
        }
        Ok(Artifact {
            folder: folder.to_owned(),
            manifest,
        })
    }

    /// Reads columns of one of its tables.
    pub(crate) fn table(&self, name: &str, columns: &[&str]) -> Result<DataFrame> {
        let path = self.folder.join(name);
        let file = File::open(&path).map_err(|e| input(&path, e))?;
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        ParquetReader::new(file)
            .with_columns(Some(columns))
            .finish()
            .map_err(|e| input(&path, format!("{e}; make the artifact again")))
    }

    /// Reads its `vocab.json`.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary> {
        read_json(&self.folder.join("vocab.json"))
    }

    /// Whether `other` is one of the artifacts that this one was made from.
    pub(crate) fn made_from(&self, other: &Artifact) -> bool {
        let mut inputs = self.manifest.inputs.values();
        inputs.any(|input| input.digest == other.manifest.digest)
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(|e| input(path, e))?;
    serde_json::from_slice(&text).map_err(|e| input(path, format!("{e}; make the artifact again")))
}

fn input(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::input(format!("{}: {why}", path.display()))
}
