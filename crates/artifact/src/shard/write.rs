//! Writes shards.

use super::dtype::Dtype;
use super::extension::{EXTENSION, METADATA, NAME};
use crate::hashed::Hashed;
use arrow_array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, make_array};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_data::ArrayData;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};
use attend_program::{At, Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of one record batch: small enough to hold in memory while writing.
const BATCH_BYTES: usize = 1 << 20;

/// Writes one shard, row by row.
pub struct TensorShardWriter {
    path: PathBuf,
    writer: FileWriter<Hashed>,
    dtype: Dtype,
    row_bytes: usize,
    ids: Vec<i64>,
    values: MutableBuffer,
    rows: u64,
}

impl TensorShardWriter {
    /// Creates the file. `column` names the tensor column, `shape` is the shape
    /// of one row and `dim_names` the names of its dimensions.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be written.
    pub fn create(
        path: &Path,
        column: &str,
        dtype: Dtype,
        shape: &[usize],
        dim_names: &[&str],
    ) -> Result<Self> {
        let elements: usize = shape.iter().product();
        let size = i32::try_from(elements).at(path)?;
        let item = Field::new("item", dtype.arrow(), false);
        // By hand: arrow-rs writes nulls into this JSON, which pyarrow refuses.
        let metadata = serde_json::json!({ "shape": shape, "dim_names": dim_names }).to_string();
        let tensor = Field::new(column, DataType::FixedSizeList(Arc::new(item), size), false)
            .with_metadata(HashMap::from([
                (NAME.to_owned(), EXTENSION.to_owned()),
                (METADATA.to_owned(), metadata),
            ]));
        let schema = Schema::new(vec![Field::new("image_id", DataType::Int64, false), tensor]);
        let file = File::create(path).and_then(Hashed::new).at(path)?;
        let writer = FileWriter::try_new(file, &schema).at(path)?;
        let row_bytes = elements * dtype.bytes();
        Ok(TensorShardWriter {
            path: path.to_owned(),
            writer,
            dtype,
            row_bytes,
            ids: Vec::new(),
            values: MutableBuffer::new(0),
            rows: 0,
        })
    }

    /// Appends one row: `bytes` are its numbers, native-endian, row-major.
    ///
    /// # Errors
    /// [`Error::Internal`] if their number is wrong or writing fails.
    pub fn push(&mut self, image_id: i64, bytes: &[u8]) -> Result<()> {
        if bytes.len() != self.row_bytes {
            return Err(Error::internal(format!(
                "{}: a row of {} bytes, not {}",
                self.path.display(),
                bytes.len(),
                self.row_bytes
            )));
        }
        self.ids.push(image_id);
        self.values.extend_from_slice(bytes);
        self.rows += 1;
        if self.values.len() + self.row_bytes > BATCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes the remaining rows and the footer.
    ///
    /// # Errors
    /// [`Error::Internal`] if writing fails.
    pub fn finish(mut self) -> Result<WrittenShard> {
        if !self.ids.is_empty() {
            self.flush()?;
        }
        self.writer.finish().at(&self.path)?;
        let hashed = self.writer.into_inner().at(&self.path)?;
        let (file, bytes, blake3) = hashed.finish().at(&self.path)?;
        Ok(WrittenShard {
            rows: self.rows,
            bytes,
            blake3,
            file,
        })
    }

    fn flush(&mut self) -> Result<()> {
        let ids: ArrayRef = Arc::new(Int64Array::from(std::mem::take(&mut self.ids)));
        let next = MutableBuffer::new(self.values.len());
        let values = Buffer::from(std::mem::replace(&mut self.values, next));
        let schema = self.writer.schema().clone();
        let DataType::FixedSizeList(item, size) = schema.field(1).data_type().clone() else {
            return Err(Error::internal("a tensor column is a fixed size list"));
        };
        let data = ArrayData::builder(self.dtype.arrow())
            .len(values.len() / self.dtype.bytes())
            .add_buffer(values)
            .build()
            .at(&self.path)?;
        let tensors =
            FixedSizeListArray::try_new(item, size, make_array(data), None).at(&self.path)?;
        let batch = RecordBatch::try_new(schema, vec![ids, Arc::new(tensors)]).at(&self.path)?;
        self.writer.write(&batch).at(&self.path)
    }
}

/// A shard that has been written, but not synced.
pub struct WrittenShard {
    /// Number of rows.
    pub rows: u64,
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
    pub(crate) file: File,
}
