//! The words of a caption, with probability and attention.

use crate::Record;
use crate::record::column;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt8Type};
use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
    builder::{ListBuilder, StringBuilder},
};
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;

/// Name of the table.
pub const WORDS: &str = "words.parquet";

/// The words of an image's caption at the primary beam size: a row of `words.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct WordsRecord {
    /// The image.
    pub image_id: i64,
    /// The words; joined by blanks they are the caption.
    pub words: Vec<String>,
    /// Natural logarithm of each word's probability, given those before it; empty if it is
    /// not known.
    pub log_probs: Vec<f32>,
    /// For each word its attention over the grid's cells, row by row: 255 where it is highest,
    /// and in proportion. Divided by its sum, it is the attention again, up to rounding.
    pub attention: Vec<u8>,
    /// Height of the grid, which covers the whole image, in cells.
    pub grid_height: u32,
    /// Width of the grid.
    pub grid_width: u32,
}

impl WordsRecord {
    /// The attention of some words, scaled and rounded: see [`WordsRecord::attention`].
    pub fn scaled(alphas: &[Vec<f32>]) -> Vec<u8> {
        let of_word = |alpha: &Vec<f32>| {
            let highest = alpha.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            let scaled = alpha
                .iter()
                .map(move |a| (255.0 * a / highest).round() as u8);
            scaled.collect::<Vec<u8>>()
        };
        alphas.iter().flat_map(of_word).collect()
    }

    /// Number of cells of the grid.
    pub fn cells(&self) -> usize {
        self.grid_height as usize * self.grid_width as usize
    }

    /// Whether there is an attention for each cell and word, and a log-probability for each
    /// word or for none.
    pub(crate) fn is_even(&self) -> bool {
        self.attention.len() == self.words.len() * self.cells()
            && [0, self.words.len()].contains(&self.log_probs.len())
    }
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

impl Record for WordsRecord {
    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("image_id", DataType::Int64, false),
            Field::new("words", list(DataType::Utf8), false),
            Field::new("log_probs", list(DataType::Float32), false),
            Field::new("attention", list(DataType::UInt8), false),
            Field::new("grid_height", DataType::UInt32, false),
            Field::new("grid_width", DataType::UInt32, false),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let mut words = ListBuilder::new(StringBuilder::new());
        for row in rows {
            words.append_value(row.words.iter().map(Some));
        }
        let log_probs = (rows.iter()).map(|row| Some(row.log_probs.iter().map(|p| Some(*p))));
        let attention = (rows.iter()).map(|row| Some(row.attention.iter().map(|a| Some(*a))));
        let side = |side: fn(&Self) -> u32| -> ArrayRef {
            Arc::new(rows.iter().map(side).collect::<UInt32Array>())
        };
        vec![
            Arc::new(rows.iter().map(|row| row.image_id).collect::<Int64Array>()),
            Arc::new(words.finish()),
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(
                log_probs,
            )),
            Arc::new(ListArray::from_iter_primitive::<UInt8Type, _, _>(attention)),
            side(|row| row.grid_height),
            side(|row| row.grid_width),
        ]
    }

    fn rows(batch: &RecordBatch) -> Option<Vec<Self>> {
        let image_ids = column::<Int64Array>(batch, 0)?;
        let [words, log_probs, attention] = [1, 2, 3].map(|at| column::<ListArray>(batch, at));
        let (words, log_probs, attention) = (words?, log_probs?, attention?);
        let height = column::<UInt32Array>(batch, 4)?;
        let width = column::<UInt32Array>(batch, 5)?;
        let full = |list: &ListArray, row: usize| {
            let values = list.value(row);
            (values.null_count() == 0).then_some(values)
        };
        let row = |row: usize| {
            let words = full(words, row)?;
            let words: &StringArray = words.as_string_opt::<i32>()?;
            Some(WordsRecord {
                image_id: image_ids.value(row),
                words: words.iter().flatten().map(str::to_owned).collect(),
                log_probs: (full(log_probs, row)?.as_primitive_opt::<Float32Type>()?)
                    .values()
                    .to_vec(),
                attention: (full(attention, row)?.as_primitive_opt::<UInt8Type>()?)
                    .values()
                    .to_vec(),
                grid_height: height.value(row),
                grid_width: width.value(row),
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }
}
