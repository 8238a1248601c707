//! `encoded.parquet` of a vocabulary artifact: the captions as ids.

use super::words::Vocabulary;
use crate::dataset::Dataset;
use crate::record::column;
use crate::{Artifact, Record};
use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use attend_program::{Error, Result};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

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
    /// Checks that the ids are a valid caption of `vocabulary`; the error says why not.
    fn check(&self, vocabulary: &Vocabulary) -> Result<(), String> {
        let [start, words @ .., end] = self.tokens.as_slice() else {
            return Err(format!("{} tokens", self.tokens.len()));
        };
        let (start, end) = (i64::from(*start), i64::from(*end));
        if (start, end) != (vocabulary.start(), vocabulary.end()) {
            return Err(format!(
                "begins with {start} and ends with {end}, not with {} for <start> and {} for <end>",
                vocabulary.start(),
                vocabulary.end()
            ));
        }
        // The words, then <unk>.
        let is_word = |id: i64| (1..=vocabulary.unk()).contains(&id);
        if let Some(id) = words.iter().find(|id| !is_word(i64::from(**id))) {
            return Err(format!(
                "{id} is neither the id of a word nor that of <unk>"
            ));
        }
        if !(1..=vocabulary.max_length).contains(&words.len()) {
            return Err(format!(
                "has {} words; leave out captions without words or with more than max_length = {}",
                words.len(),
                vocabulary.max_length
            ));
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
            return Err(caption.refused(&vocabulary.file("encoded.parquet")?, row, &why));
        }
        Ok(())
    }

    fn refused(&self, path: &Path, row: usize, why: &str) -> Error {
        Error::refused(format!(
            "{}: row {row} (caption {} of image {}): {why}; make the artifact again",
            path.display(),
            self.caption_id,
            self.image_id
        ))
    }
}

impl Vocabulary {
    /// Reads a whole vocabulary artifact: the words, and the captions as ids. Checks each
    /// caption, but not its image: see [`EncodedRecord::check_images`].
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file, and the row and the id in it.
    pub fn open_encoded(artifact: &Artifact) -> Result<(Vocabulary, Vec<EncodedRecord>)> {
        let vocabulary = Vocabulary::open(artifact)?;
        let path = artifact.file("encoded.parquet")?;
        let encoded = EncodedRecord::read(&path)?;
        for (row, caption) in encoded.iter().enumerate() {
            caption
                .check(&vocabulary)
                .map_err(|why| caption.refused(&path, row, &why))?;
        }
        Ok((vocabulary, encoded))
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
