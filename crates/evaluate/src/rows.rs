//! One row per image and beam size: the caption and its scores.

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema};
use attend_artifact::Record;
use attend_artifact::record::column;
use std::sync::Arc;

/// A caption of one image: a row of `per_image.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScore {
    /// The image.
    pub image_id: i64,
    /// Beam size of the search.
    pub beam: u32,
    /// The caption.
    pub caption: String,
    /// Its log-probability under the model, including `<end>` if finished.
    pub log_prob: f64,
    /// BLEU-4 of this caption alone. This and the other scores are NaN if they were not
    /// asked for, or if the image has no human captions.
    pub bleu4: f64,
    /// METEOR of this caption alone.
    pub meteor: f64,
    /// ROUGE-L.
    pub rouge_l: f64,
    /// CIDEr-D, with document frequencies over the scored images.
    pub cider: f64,
    /// Whether the model ended it with `<end>`, before the limit of words.
    pub finished: bool,
    /// Number of its words that name an object of the image.
    pub named: u32,
    /// Attention inside the boxes of these objects, summed over the words.
    pub inside: f64,
    /// The boxes' share of the image's area, summed over the words.
    pub chance: f64,
}

impl ImageScore {
    /// Sets the score with this key; ignores scores that are only for the corpus.
    pub fn set(&mut self, key: &str, value: f64) {
        match key {
            "bleu4" => self.bleu4 = value,
            "meteor" => self.meteor = value,
            "rouge_l" => self.rouge_l = value,
            "cider" => self.cider = value,
            _ => {}
        }
    }
}

impl Record for ImageScore {
    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("image_id", DataType::Int64, false),
            Field::new("beam", DataType::UInt32, false),
            Field::new("caption", DataType::Utf8, false),
            Field::new("log_prob", DataType::Float64, false),
            Field::new("bleu4", DataType::Float64, false),
            Field::new("meteor", DataType::Float64, false),
            Field::new("rouge_l", DataType::Float64, false),
            Field::new("cider", DataType::Float64, false),
            Field::new("finished", DataType::Boolean, false),
            Field::new("named", DataType::UInt32, false),
            Field::new("inside", DataType::Float64, false),
            Field::new("chance", DataType::Float64, false),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let floats = |value: fn(&Self) -> f64| -> ArrayRef {
            Arc::new(rows.iter().map(value).collect::<Float64Array>())
        };
        let counts = |value: fn(&Self) -> u32| -> ArrayRef {
            Arc::new(rows.iter().map(value).collect::<UInt32Array>())
        };
        let ids: Int64Array = rows.iter().map(|row| row.image_id).collect();
        let captions: StringArray = rows.iter().map(|row| Some(&row.caption)).collect();
        let finished: BooleanArray = rows.iter().map(|row| Some(row.finished)).collect();
        vec![
            Arc::new(ids),
            counts(|row| row.beam),
            Arc::new(captions),
            floats(|row| row.log_prob),
            floats(|row| row.bleu4),
            floats(|row| row.meteor),
            floats(|row| row.rouge_l),
            floats(|row| row.cider),
            Arc::new(finished),
            counts(|row| row.named),
            floats(|row| row.inside),
            floats(|row| row.chance),
        ]
    }

    fn rows(batch: &RecordBatch) -> Option<Vec<Self>> {
        let image_id = column::<Int64Array>(batch, 0)?;
        let beam = column::<UInt32Array>(batch, 1)?;
        let caption = column::<StringArray>(batch, 2)?;
        let log_prob = column::<Float64Array>(batch, 3)?;
        let bleu4 = column::<Float64Array>(batch, 4)?;
        let meteor = column::<Float64Array>(batch, 5)?;
        let rouge_l = column::<Float64Array>(batch, 6)?;
        let cider = column::<Float64Array>(batch, 7)?;
        let finished = column::<BooleanArray>(batch, 8)?;
        let named = column::<UInt32Array>(batch, 9)?;
        let inside = column::<Float64Array>(batch, 10)?;
        let chance = column::<Float64Array>(batch, 11)?;
        let row = |i| ImageScore {
            image_id: image_id.value(i),
            beam: beam.value(i),
            caption: caption.value(i).to_owned(),
            log_prob: log_prob.value(i),
            bleu4: bleu4.value(i),
            meteor: meteor.value(i),
            rouge_l: rouge_l.value(i),
            cider: cider.value(i),
            finished: finished.value(i),
            named: named.value(i),
            inside: inside.value(i),
            chance: chance.value(i),
        };
        Some((0..batch.num_rows()).map(row).collect())
    }
}
