//! Typed rows of Parquet tables.
//!
//! A table is a plain Parquet file (zstd) that any reader opens; a record type
//! says which columns it has, and reading checks names and types.

use crate::{At, Error, Result};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// One row of a Parquet table.
pub trait Record: Sized {
    /// The table's columns.
    fn schema() -> Schema;

    /// The columns of `rows`, in the order of the schema.
    fn columns(rows: &[Self]) -> Vec<ArrayRef>;

    /// The rows of a batch whose columns are those of the schema, or `None`
    /// where a value is null.
    fn rows(batch: &RecordBatch) -> Option<Vec<Self>>;

    /// Writes a table of these rows.
    ///
    /// # Errors
    /// [`Error::Internal`] where the file can't be written.
    fn write(path: &Path, rows: &[Self]) -> Result<()> {
        let schema: SchemaRef = Arc::new(Self::schema());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("attend".to_owned())
            .build();
        let file = File::create(path).at(path)?;
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).at(path)?;
        for chunk in rows.chunks(1 << 16) {
            let batch = RecordBatch::try_new(schema.clone(), Self::columns(chunk)).at(path)?;
            writer.write(&batch).at(path)?;
        }
        writer.close().at(path)?;
        Ok(())
    }

    /// Reads a table of such rows. Further columns are left aside.
    ///
    /// # Errors
    /// [`Error::Refused`] where the file is no Parquet file or lacks a column.
    fn read(path: &Path) -> Result<Vec<Self>> {
        let refused = |why: String| {
            Error::refused(format!(
                "{}: {why}; make the artifact again",
                path.display()
            ))
        };
        let file = File::open(path).at(path)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|e| refused(format!("not a Parquet table ({e})")))?;
        let wanted = Self::schema();
        let mut rows = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|e| refused(format!("unreadable ({e})")))?;
            let mut columns = Vec::new();
            for field in wanted.fields() {
                let column = batch
                    .column_by_name(field.name())
                    .ok_or_else(|| refused(format!("has no column {:?}", field.name())))?;
                // Other writers choose wider or dictionary types for the same values.
                let column = arrow::compute::cast(column, field.data_type())
                    .map_err(|e| refused(format!("column {:?}: {e}", field.name())))?;
                columns.push(column);
            }
            let batch = RecordBatch::try_new(Arc::new(nullable(&wanted)), columns).at(path)?;
            rows.extend(Self::rows(&batch).ok_or_else(|| refused("has an empty cell".into()))?);
        }
        Ok(rows)
    }
}

fn nullable(schema: &Schema) -> Schema {
    Schema::new(
        schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>(),
    )
}

/// Column `index` of a batch as the Arrow array type `A`, where no value is
/// null.
pub fn column<A: 'static>(batch: &RecordBatch, index: usize) -> Option<&A> {
    let column = batch.columns().get(index)?;
    (column.null_count() == 0)
        .then(|| column.as_any().downcast_ref::<A>())
        .flatten()
}

/// Implements [`Record`] for a struct of primitive and string fields:
/// `record!(Type { field: Array as Kind, … })`.
macro_rules! record {
    ($type:ident { $($field:ident: $array:ident as $kind:ident),+ $(,)? }) => {
        impl $crate::Record for $type {
            fn schema() -> arrow::datatypes::Schema {
                arrow::datatypes::Schema::new(vec![
                    $(arrow::datatypes::Field::new(stringify!($field), arrow::datatypes::DataType::$kind, false)),+
                ])
            }

            fn columns(rows: &[Self]) -> Vec<arrow::array::ArrayRef> {
                vec![$(std::sync::Arc::new(
                    rows.iter().map(|row| Some(row.$field.clone())).collect::<arrow::array::$array>(),
                )),+]
            }

            #[allow(unused_assignments)]
            fn rows(batch: &arrow::array::RecordBatch) -> Option<Vec<Self>> {
                let mut index = 0;
                $(let $field = $crate::record::column::<arrow::array::$array>(batch, index)?; index += 1;)+
                Some((0..batch.num_rows()).map(|row| $type { $($field: $field.value(row).into()),+ }).collect())
            }
        }
    };
}
pub(crate) use record;
