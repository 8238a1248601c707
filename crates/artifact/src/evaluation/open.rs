//! Opens an evaluation.

use super::rows::{ImageScore, PerImage};
use super::words::{WORDS, WordsRecord};
use crate::{Artifact, Record};
use attend_program::{At, Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// An open evaluation artifact, of any evaluator.
pub struct Evaluation {
    /// Its folder.
    pub root: PathBuf,
    /// Contents of `scores.json`.
    pub scores: Value,
    /// The split whose images were captioned.
    pub split: String,
    /// The beam size of `results.json`.
    pub primary: u32,
    /// The captions by beam size, in the order in which the evaluator wrote them. Scores that
    /// the evaluator doesn't give are NaN.
    pub by_beam: BTreeMap<u32, Vec<ImageScore>>,
    /// The words of the captions at the primary beam size, by image; empty if the evaluator,
    /// such as ours before schema version 2, gives none.
    pub words: HashMap<i64, WordsRecord>,
}

impl Evaluation {
    /// Opens it.
    ///
    /// # Errors
    /// [`Error::Refused`] if a file does not follow the contract.
    pub fn open(artifact: &Artifact) -> Result<Evaluation> {
        let refused = |name: &str, why: &str| {
            let path = artifact.root.join(name);
            Error::refused(format!(
                "{}: {why}; make the artifact again",
                path.display()
            ))
        };
        let path = artifact.file("scores.json")?;
        let scores: Value = serde_json::from_slice(&std::fs::read(&path).at(&path)?)
            .map_err(|e| refused("scores.json", &e.to_string()))?;
        let split = scores["split"].as_str().map(str::to_owned);
        let split = split.ok_or_else(|| refused("scores.json", "has no \"split\""))?;
        let path = artifact.file("per_image.parquet")?;
        let rows = match ImageScore::read(&path) {
            Err(Error::Refused(_)) => {
                let rows = PerImage::read(&path)?.into_iter();
                rows.map(ImageScore::from).collect()
            }
            rows => rows?,
        };
        let mut by_beam: BTreeMap<u32, Vec<ImageScore>> = BTreeMap::new();
        for row in rows {
            by_beam.entry(row.beam).or_default().push(row);
        }
        let primary = primary(artifact, &by_beam);
        let primary = primary.ok_or_else(|| refused("per_image.parquet", "has no rows"))?;
        let mut words = HashMap::new();
        if artifact.manifest.file(WORDS).is_some() {
            let rows = WordsRecord::read(&artifact.file(WORDS)?)?;
            if let Some(odd) = rows.iter().find(|row| !row.is_even()) {
                let why = format!(
                    "image {}: not one attention for each cell and word",
                    odd.image_id
                );
                return Err(refused(WORDS, &why));
            }
            words.extend(rows.into_iter().map(|row| (row.image_id, row)));
        }
        Ok(Evaluation {
            root: artifact.root.clone(),
            scores,
            split,
            primary,
            by_beam,
            words,
        })
    }

    /// The captions at the primary beam size.
    pub fn rows(&self) -> &[ImageScore] {
        self.by_beam.get(&self.primary).map_or(&[], Vec::as_slice)
    }
}

/// The beam size that the evaluator calls its primary one, or else the first whose results are
/// those of `results.json`, or else the greatest.
fn primary(artifact: &Artifact, by_beam: &BTreeMap<u32, Vec<ImageScore>>) -> Option<u32> {
    let manifest = &artifact.manifest;
    let stated = manifest.config["evaluate"]["primary_beam"].as_u64();
    let digest = |name: &str| manifest.file(name).map(|file| &file.blake3);
    let results = digest("results.json");
    let is_same = |beam: &&u32| digest(&format!("results-beam-{beam}.json")) == results;
    let mut beams = by_beam.keys();
    let stated = beams.clone().find(|beam| stated == Some(u64::from(**beam)));
    stated
        .or_else(|| beams.clone().find(is_same))
        .or_else(|| beams.next_back())
        .copied()
}
