//! The Parquet table of `--per-image`: `image_id`, `caption`, and a column for
//! each score.

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use attend_metrics::Score;
use attend_metrics::captions::Id;
use attend_program::{At, Result, whole};
use parquet::arrow::ArrowWriter;
use std::path::Path;
use std::sync::Arc;

/// Image and caption of each row.
pub type Rows = Vec<(Id<'static>, String)>;

/// Writes the table; rows are in the order of the results.
///
/// # Errors
/// [`attend_program::Error::Internal`] if it can't be written.
pub fn write(path: &Path, rows: Rows, scores: &[Score]) -> Result<()> {
    whole::write(path, |file| {
        let (ids, captions): (Vec<Id>, Vec<String>) = rows.into_iter().unzip();
        let captions = StringArray::from(captions);
        let mut columns: Vec<(&str, ArrayRef)> =
            vec![("image_id", column(&ids)), ("caption", Arc::new(captions))];
        for score in scores {
            let values = Float64Array::from(score.per_image.clone());
            columns.push((&score.key, Arc::new(values)));
        }
        let batch = RecordBatch::try_from_iter(columns).at(path)?;
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).at(path)?;
        writer.write(&batch).at(path)?;
        writer.close().at(path)?;
        Ok(())
    })
}

/// The column of image ids: numbers if all ids are numbers, else text.
fn column(ids: &[Id]) -> ArrayRef {
    let number = |id: &Id| match id {
        Id::Number(number) => Some(*number),
        Id::Name(_) => None,
    };
    match ids.iter().map(number).collect::<Option<Vec<i64>>>() {
        Some(numbers) => Arc::new(Int64Array::from(numbers)),
        None => Arc::new(StringArray::from_iter_values(ids.iter().map(Id::text))),
    }
}
