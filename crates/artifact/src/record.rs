//! Typed rows of Parquet tables.
//!
//! A table is a plain Parquet file (zstd) that any reader opens. A record type
//! defines its columns; reading checks names and types.

use crate::convert::convert;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use attend_program::{At, Error, Result, whole};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One row of a Parquet table.
pub trait Record: Sized {
    /// The table's columns.
    fn schema() -> Schema;

    /// The columns of `rows`, in the order of the schema.
    fn columns(rows: &[Self]) -> Vec<ArrayRef>;

    /// The rows of a batch that has the columns of the schema; `None` if a value is null.
    fn rows(batch: &RecordBatch) -> Option<Vec<Self>>;

    /// Writes a table of these rows.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be written.
    fn write(path: &Path, rows: &[Self]) -> Result<()> {
        Self::write_to(File::create(path).at(path)?, path, rows)
    }

    /// Like [`Record::write`], but atomic ([`whole::write`]).
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be written.
    fn write_whole(path: &Path, rows: &[Self]) -> Result<()> {
        whole::write(path, |file| {
            Self::write_to(file.try_clone().at(path)?, path, rows)
        })
    }

    /// Writes a table of these rows into an open file; errors name `path`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be written.
    fn write_to(file: File, path: &Path, rows: &[Self]) -> Result<()> {
        let mut table = Table::begin::<Self>(file, path)?;
        for chunk in rows.chunks(1 << 16) {
            table.write(Self::columns(chunk))?;
        }
        table.finish()?;
        Ok(())
    }

    /// Reads a table of such rows; ignores other columns.
    ///
    /// # Errors
    /// [`Error::Refused`] if the file is not a Parquet file or lacks a column.
    fn read(path: &Path) -> Result<Vec<Self>> {
        let mut rows = Vec::new();
        for batch in Self::batches(path)? {
            rows.extend(Self::rows(&batch?).ok_or_else(|| refused(path, "has an empty cell"))?);
        }
        Ok(rows)
    }

    /// Reads the columns of the schema, some thousand rows at a time.
    ///
    /// # Errors
    /// Those of [`Record::read`].
    fn batches(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let file = File::open(path).at(path)?;
        let not_a_table = |e| refused(path, &format!("not a Parquet table ({e})"));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(not_a_table)?;
        let schema = Self::schema();
        check_columns(&schema, builder.schema()).map_err(|why| refused(path, &why))?;
        let reader = builder.with_batch_size(1 << 13).build();
        let reader = reader.map_err(not_a_table)?;
        let mut before = 0;
        Ok(reader.map(move |batch| {
            let batch = batch.map_err(|e| refused(path, &format!("unreadable ({e})")))?;
            let (mut columns, mut empty) = (Vec::new(), Vec::new());
            for field in schema.fields() {
                let name = field.name();
                let column = batch
                    .column_by_name(name)
                    .ok_or_else(|| refused(path, &format!("has no column {name:?}")))?;
                let nulls = column.null_count();
                let cast = convert(column, field.data_type()).ok_or_else(|| {
                    let other = column.data_type();
                    refused(path, &format!("column {name:?} is of {other}"))
                })?;
                if nulls > 0 {
                    let row = (0..column.len()).find(|row| column.is_null(*row));
                    let row = before + row.unwrap_or_default();
                    empty.push(format!("column {name:?} has an empty cell in row {row}"));
                } else if cast.null_count() > 0 {
                    empty.push(format!("column {name:?} has a number out of range"));
                }
                columns.push(cast);
            }
            if !empty.is_empty() {
                return Err(refused(path, &empty.join("; ")));
            }
            before += batch.num_rows();
            RecordBatch::try_new(Arc::new(nullable(&schema)), columns).at(path)
        }))
    }
}

/// Compares the columns of a table with those that it must have; the error names all that
/// are missing or of another type.
fn check_columns(expected: &Schema, found: &Schema) -> Result<(), String> {
    let mut wrong = Vec::new();
    for field in expected.fields() {
        let (name, data_type) = (field.name(), field.data_type());
        match found.field_with_name(name) {
            Err(_) => wrong.push(format!("has no column {name:?}")),
            Ok(column) if !is_like(column.data_type(), data_type) => {
                let other = column.data_type();
                wrong.push(format!("column {name:?} is of {other}, not of {data_type}"));
            }
            Ok(_) => {}
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("; ")),
    }
}

/// Whether values of a type can stand for those of another: other writers use wider or
/// dictionary types.
fn is_like(found: &DataType, expected: &DataType) -> bool {
    use DataType::{Dictionary, FixedSizeList, LargeList, LargeUtf8, List, Utf8, Utf8View};
    match (found, expected) {
        (Dictionary(_, values), _) => is_like(values, expected),
        (Utf8 | LargeUtf8 | Utf8View, Utf8) => true,
        (List(a) | LargeList(a) | FixedSizeList(a, _), List(b)) => {
            is_like(a.data_type(), b.data_type())
        }
        (found, expected) if expected.is_integer() => found.is_integer(),
        (found, expected) if expected.is_floating() => found.is_floating(),
        _ => found == expected,
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::refused(format!(
        "{}: {why}; make the artifact again",
        path.display()
    ))
}

/// A Parquet table that is being written, batch by batch.
pub struct Table {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    rows: u64,
}

impl Table {
    /// Begins a table with the columns of `R`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be written.
    pub fn create<R: Record>(path: &Path) -> Result<Table> {
        Table::begin::<R>(File::create(path).at(path)?, path)
    }

    fn begin<R: Record>(file: File, path: &Path) -> Result<Table> {
        let schema: SchemaRef = Arc::new(R::schema());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("attend".to_owned())
            .build();
        Ok(Table {
            writer: ArrowWriter::try_new(file, schema.clone(), Some(properties)).at(path)?,
            path: path.to_owned(),
            schema,
            rows: 0,
        })
    }

    /// Adds rows, as columns in the order of the schema.
    ///
    /// # Errors
    /// [`Error::Internal`] if they don't fit the schema or can't be written.
    pub fn write(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns).at(&self.path)?;
        self.rows += batch.num_rows() as u64;
        self.writer.write(&batch).at(&self.path)
    }

    /// Completes the file; returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be written.
    pub fn finish(self) -> Result<u64> {
        self.writer.close().at(&self.path)?;
        Ok(self.rows)
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

/// Column `index` of a batch as the Arrow array type `A`; `None` if it has another type or
/// a value is null.
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
            fn schema() -> arrow_schema::Schema {
                arrow_schema::Schema::new(vec![
                    $(arrow_schema::Field::new(stringify!($field), arrow_schema::DataType::$kind, false)),+
                ])
            }

            fn columns(rows: &[Self]) -> Vec<arrow_array::ArrayRef> {
                vec![$(std::sync::Arc::new(
                    rows.iter().map(|row| Some(row.$field.clone())).collect::<arrow_array::$array>(),
                )),+]
            }

            #[allow(unused_assignments)]
            fn rows(batch: &arrow_array::RecordBatch) -> Option<Vec<Self>> {
                let mut index = 0;
                $(let $field = $crate::record::column::<arrow_array::$array>(batch, index)?; index += 1;)+
                Some((0..batch.num_rows()).map(|row| $type { $($field: $field.value(row).into()),+ }).collect())
            }
        }
    };
}
pub(crate) use record;
