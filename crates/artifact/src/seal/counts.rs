//! The counts of each kind, found by reading its files. What can't be read is not counted.

use crate::dataset::RejectedRecord;
use crate::model::EncoderConfig;
use crate::shard::TensorShard;
use crate::vocabulary::{EncodedRecord, Vocabulary};
use crate::{Artifact, Manifest, Record, ledger};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

type Counts = BTreeMap<String, u64>;

/// The counts of the artifact in `root`, whose manifest has its kind and files.
pub(super) fn counts(root: &Path, manifest: &Manifest, inputs: &[Artifact]) -> Counts {
    let counts = match manifest.kind.as_str() {
        "dataset" => dataset(root, manifest),
        "vocabulary" => vocabulary(root),
        "features" => features(root, manifest, inputs),
        "evaluation" => evaluation(root),
        _ => None,
    };
    counts.unwrap_or_default()
}

fn dataset(root: &Path, manifest: &Manifest) -> Option<Counts> {
    let rows = |name: &str| manifest.file(&format!("{name}.parquet"))?.rows;
    let rejected = RejectedRecord::read(&root.join("rejected.parquet")).ok()?;
    let mut counts = ledger::counts(&rejected);
    for name in ["images", "captions", "objects"] {
        counts.insert(name.to_owned(), rows(name)?);
    }
    counts.insert("rejected".to_owned(), ledger::left_out(&rejected));
    let shape = shape(root, manifest)?;
    for (name, at) in [("image_height", 1), ("image_width", 2)] {
        counts.insert(name.to_owned(), *shape.get(at)? as u64);
    }
    Some(counts)
}

fn vocabulary(root: &Path) -> Option<Counts> {
    let words = Vocabulary::read(&root.join("vocab.json")).ok()?;
    let encoded = EncodedRecord::read(&root.join("encoded.parquet")).ok()?;
    let mut counts = EncodedRecord::counts(&encoded, &words);
    let rejected = RejectedRecord::read(&root.join("rejected.parquet")).unwrap_or_default();
    counts.insert("dropped".to_owned(), rejected.len() as u64);
    Some(counts)
}

fn features(root: &Path, manifest: &Manifest, inputs: &[Artifact]) -> Option<Counts> {
    let shards = manifest.files.iter();
    let shards = shards.filter(|file| file.name.starts_with("shards/"));
    let images: u64 = shards.map(|file| file.rows.unwrap_or_default()).sum();
    let encoder = EncoderConfig::read(&root.join("encoder.json")).ok()?;
    let of_dataset = || {
        let dataset = inputs
            .iter()
            .find(|input| input.manifest.kind == "dataset")?;
        Some(["image_height", "image_width"].map(|name| dataset.count(name) as i64))
    };
    let grid = encoder.grid(encoder.image_size().or_else(of_dataset)?);
    let [height, width] = grid.map(i64::unsigned_abs);
    let channels = *shape(root, manifest)?.get(1)? as u64;
    let counts = [
        ("images", images),
        ("grid_height", height),
        ("grid_width", width),
        ("channels", channels),
    ];
    Some(named(counts))
}

fn evaluation(root: &Path) -> Option<Counts> {
    let scores = std::fs::read(root.join("scores.json")).ok()?;
    let scores: Value = serde_json::from_slice(&scores).ok()?;
    let beams = scores.get("beams")?.as_object()?.len() as u64;
    let images = scores.get("images")?.as_u64()?;
    Some(named([("images", images), ("beams", beams)]))
}

/// Shape of a row of the first shard.
fn shape(root: &Path, manifest: &Manifest) -> Option<Vec<usize>> {
    let mut files = manifest.files.iter();
    let shard = files.find(|file| file.name.starts_with("shards/"))?;
    let shard = TensorShard::open(&root.join(&shard.name)).ok()?;
    Some(shard.shape().to_vec())
}

fn named<const N: usize>(counts: [(&str, u64); N]) -> Counts {
    let counts = counts.into_iter();
    counts.map(|(name, n)| (name.to_owned(), n)).collect()
}
