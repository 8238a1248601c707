//! `encoded.parquet` of a vocabulary artifact: the captions as ids.

use super::words::Vocabulary;
use crate::dataset::{Dataset, RejectedRecord};
use crate::findings::{Findings, twice};
use crate::record::column;
use crate::{Artifact, Record};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use attend_program::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Name of the table.
const FILE: &str = "encoded.parquet";

/// One caption as ids: a row of `encoded.parquet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The caption.
    pub caption_id: i64,
    /// The image that it describes.
    pub image_id: i64,
    /// The image's split.
    pub split: String,
    /// `<start>`, the words, `<end>`.
    pub tokens: Vec<i32>,
}

impl EncodedRecord {
    /// Checks that the ids are a valid caption of `vocabulary`; if not, returns the rule that
    /// it breaks, as a number, and how.
    fn check(&self, vocabulary: &Vocabulary) -> Result<(), (u8, String)> {
        let [start, words @ .., end] = self.tokens.as_slice() else {
            return Err((0, format!("{} tokens", self.tokens.len())));
        };
        let (start, end) = (i64::from(*start), i64::from(*end));
        if (start, end) != (vocabulary.start(), vocabulary.end()) {
            let why = format!(
                "begins with {start} and ends with {end}, not with {} for <start> and {} for <end>",
                vocabulary.start(),
                vocabulary.end()
            );
            return Err((0, why));
        }
        // The words, then <unk>.
        let is_word = |id: i64| (1..=vocabulary.unk()).contains(&id);
        if let Some(id) = words.iter().find(|id| !is_word(i64::from(**id))) {
            let why = format!("{id} is neither the id of a word nor that of <unk>");
            return Err((1, why));
        }
        if !(1..=vocabulary.max_length).contains(&words.len()) {
            let why = format!(
                "has {} words; leave out captions without words or with more than max_length = {}",
                words.len(),
                vocabulary.max_length
            );
            return Err((2, why));
        }
        Ok(())
    }

    /// Refuses captions whose images the data set lacks or has in another split.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file, the row and the image.
    pub fn check_images(
        encoded: &[EncodedRecord],
        vocabulary: &Artifact,
        dataset: &Dataset,
    ) -> Result<()> {
        let images = dataset.images().iter();
        let splits: HashMap<i64, &str> = images
            .map(|image| (image.image_id, image.split.as_str()))
            .collect();
        for (row, caption) in encoded.iter().enumerate() {
            let why = match splits.get(&caption.image_id) {
                Some(split) if *split == caption.split => continue,
                Some(split) => format!("split {:?}, but its image is in {split:?}", caption.split),
                None => "the data set has no such image".to_owned(),
            };
            return Err(Error::refused(format!(
                "{}: {why}: {}; make the artifact again",
                vocabulary.file(FILE)?.display(),
                caption.place(row)
            )));
        }
        Ok(())
    }

    /// The counts of a vocabulary artifact: `words`, `captions`, and for each split
    /// `captions_SPLIT`, `tokens_SPLIT` and `oov_SPLIT` (tokens out of vocabulary).
    pub(crate) fn counts(
        encoded: &[EncodedRecord],
        vocabulary: &Vocabulary,
    ) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::from([
            ("words".to_owned(), vocabulary.words.len() as u64),
            ("captions".to_owned(), encoded.len() as u64),
        ]);
        for captions in encoded.chunk_by(|a, b| a.split == b.split) {
            let split = &captions[0].split;
            let tokens = captions.iter().flat_map(|caption| &caption.tokens);
            let oov = tokens
                .filter(|id| i64::from(**id) == vocabulary.unk())
                .count();
            // Without <start> and <end>.
            let words = captions.iter().map(|c| c.tokens.len().saturating_sub(2));
            for (name, n) in [
                ("captions", captions.len()),
                ("tokens", words.sum()),
                ("oov", oov),
            ] {
                *counts.entry(format!("{name}_{split}")).or_default() += n as u64;
            }
        }
        counts
    }

    /// Its place in the table, for messages.
    pub(crate) fn place(&self, row: usize) -> String {
        format!(
            "row {row} (caption {} of image {})",
            self.caption_id, self.image_id
        )
    }
}

impl Vocabulary {
    /// Reads a whole vocabulary artifact: the words, and the captions as ids. Checks each
    /// caption, but not its image: see [`EncodedRecord::check_images`].
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file, and the row and the id in it.
    pub fn open_encoded(artifact: &Artifact) -> Result<(Vocabulary, Vec<EncodedRecord>)> {
        let mut findings = Findings::new(artifact, false);
        let (vocabulary, encoded) = Vocabulary::examine(&mut findings)?;
        findings.refuse()?;
        let vocabulary = vocabulary.ok_or_else(|| Error::internal("no words and no finding"))?;
        Ok((vocabulary, encoded))
    }

    /// Reads it, and notes everything that does not follow the contract. What can't be read
    /// is left out.
    pub(crate) fn examine(
        findings: &mut Findings,
    ) -> Result<(Option<Vocabulary>, Vec<EncodedRecord>)> {
        findings.needs_dataset();
        let vocabulary = match findings.file("vocab.json")? {
            Some(path) => findings.take(Vocabulary::read(&path))?,
            None => None,
        };
        let encoded: Option<Vec<EncodedRecord>> = findings.table(FILE)?;
        if let (Some(vocabulary), Some(encoded)) = (&vocabulary, &encoded) {
            captions(findings, vocabulary, encoded);
        }
        let rejected = "rejected.parquet";
        if findings.artifact.manifest.file(rejected).is_some()
            && let Some(rows) = findings.table::<RejectedRecord>(rejected)?
        {
            findings.count(rejected, "dropped", rows.len());
        }
        Ok((vocabulary, encoded.unwrap_or_default()))
    }
}

/// Notes captions that break a rule, by rule: the first one's words, and the places of all.
fn captions(findings: &mut Findings, vocabulary: &Vocabulary, encoded: &[EncodedRecord]) {
    let mut broken: BTreeMap<u8, (String, Vec<String>)> = BTreeMap::new();
    for (row, caption) in encoded.iter().enumerate() {
        if let Err((rule, why)) = caption.check(vocabulary) {
            let (_, places) = broken.entry(rule).or_insert((why, Vec::new()));
            places.push(caption.place(row));
        }
    }
    for (why, places) in broken.into_values() {
        let what = format!("captions break a rule, the first: {why}");
        findings.all(FILE, &what, places);
    }
    let ids = encoded.iter().map(|caption| caption.caption_id);
    findings.all(FILE, "caption ids come twice", twice(ids));
    for (name, found) in EncodedRecord::counts(encoded, vocabulary) {
        findings.count(FILE, &name, found as usize);
    }
}

impl Record for EncodedRecord {
    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("caption_id", DataType::Int64, false),
            Field::new("image_id", DataType::Int64, false),
            Field::new("split", DataType::Utf8, false),
            Field::new(
                "tokens",
                DataType::List(Arc::new(Field::new("item", DataType::Int32, true))),
                false,
            ),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let tokens = rows
            .iter()
            .map(|row| Some(row.tokens.iter().map(|id| Some(*id))));
        vec![
            Arc::new(
                rows.iter()
                    .map(|row| row.caption_id)
                    .collect::<Int64Array>(),
            ),
            Arc::new(rows.iter().map(|row| row.image_id).collect::<Int64Array>()),
            Arc::new(
                rows.iter()
                    .map(|row| Some(&row.split))
                    .collect::<StringArray>(),
            ),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(tokens)),
        ]
    }

    fn rows(batch: &RecordBatch) -> Option<Vec<Self>> {
        let caption_ids = column::<Int64Array>(batch, 0)?;
        let image_ids = column::<Int64Array>(batch, 1)?;
        let splits = column::<StringArray>(batch, 2)?;
        let tokens = column::<ListArray>(batch, 3)?;
        (0..batch.num_rows())
            .map(|row| {
                let ids = tokens.value(row);
                let ids: &Int32Array = ids.as_primitive_opt::<Int32Type>()?;
                (ids.null_count() == 0).then(|| EncodedRecord {
                    caption_id: caption_ids.value(row),
                    image_id: image_ids.value(row),
                    split: splits.value(row).to_owned(),
                    tokens: ids.values().to_vec(),
                })
            })
            .collect()
    }
}
