//! Small `vocabulary` artifacts.

use crate::draft_from;
use attend_artifact::dataset::Dataset;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Record, Staging};
use std::path::Path;

/// Writes the vocabulary artifact of a data set into `folder`: all captions, encoded.
pub fn write(folder: &Path, dataset: &Artifact, words: &Vocabulary) -> Artifact {
    let opened = Dataset::open(dataset).unwrap();
    let encoded = |caption: &attend_artifact::dataset::CaptionRecord| EncodedRecord {
        caption_id: caption.caption_id,
        image_id: caption.image_id,
        split: caption.split.clone(),
        tokens: (words.encode(&caption.caption).iter())
            .map(|id| *id as i32)
            .collect(),
    };
    let encoded: Vec<EncodedRecord> = opened.captions().iter().map(encoded).collect();
    write_encoded(folder, &dataset.manifest.digest, words, &encoded)
}

/// Writes a vocabulary artifact with these captions, whatever they are, of a data set of
/// that digest.
pub fn write_encoded(
    folder: &Path,
    dataset: &str,
    words: &Vocabulary,
    encoded: &[EncodedRecord],
) -> Artifact {
    let staging = Staging::open(folder, draft_from("vocabulary", dataset)).unwrap();
    words.write(&staging.path("vocab.json").unwrap()).unwrap();
    staging.done("vocab.json", None).unwrap();
    EncodedRecord::write(&staging.path("encoded.parquet").unwrap(), encoded).unwrap();
    staging.done("encoded.parquet", None).unwrap();
    staging.commit(&[]).unwrap();
    Artifact::open(folder).unwrap()
}
