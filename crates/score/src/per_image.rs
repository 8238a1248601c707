//! The Parquet table of `--per-image`: `image_id`, `caption`, and a column for
//! each score.

use crate::whole;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use attend_artifact::Result;
use attend_metrics::Score;
use parquet::arrow::ArrowWriter;
use std::io::Error;
use std::path::Path;
use std::sync::Arc;

/// Image and caption of each row.
pub type Rows = Vec<(i64, String)>;

/// Writes the table; rows are in the order of the results.
///
/// # Errors
/// [`attend_artifact::Error::Internal`] where it can't be written.
pub fn write(path: &Path, rows: Rows, scores: &[Score]) -> Result<()> {
    whole(path, |file| {
        let (ids, captions): (Vec<i64>, Vec<String>) = rows.into_iter().unzip();
        let (ids, captions) = (Int64Array::from(ids), StringArray::from(captions));
        let mut columns: Vec<(&str, ArrayRef)> =
            vec![("image_id", Arc::new(ids)), ("caption", Arc::new(captions))];
        for score in scores {
            let values = Float64Array::from(score.per_image.clone());
            columns.push((&score.key, Arc::new(values)));
        }
        let batch = RecordBatch::try_from_iter(columns).map_err(Error::other)?;
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).map_err(Error::other)?;
        writer.write(&batch).map_err(Error::other)?;
        writer.close().map_err(Error::other)?;
        Ok(())
    })
}
