//! Shards of tensors: Arrow IPC files, one row per image, read through a
//! memory map without a copy.
//!
//! Two columns: `image_id` (int64) and a tensor column of the canonical
//! extension type `arrow.fixed_shape_tensor`, which pyarrow opens as a numpy
//! array. The file is not compressed, so that the operating system's page cache
//! is the only cache.

use crate::finite::Float;
use crate::hashed::Hashed;
use arrow::array::ArrayData;
use arrow::array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::read_footer_length;
use arrow::ipc::writer::FileWriter;
use arrow::ipc::{self, Block, root_as_footer, root_as_message};
use attend_program::{At, Error, Result};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of one record batch: small enough to hold in memory while writing.
const BATCH_BYTES: usize = 1 << 20;
const EXTENSION: &str = "arrow.fixed_shape_tensor";
const NAME: &str = "ARROW:extension:name";
const METADATA: &str = "ARROW:extension:metadata";

/// Type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Unsigned bytes.
    U8,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl Dtype {
    /// Its name in configs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::U8 => "u8",
            Dtype::F16 => "f16",
            Dtype::F32 => "f32",
        }
    }

    /// Size of one number in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Dtype::U8 => 1,
            Dtype::F16 => 2,
            Dtype::F32 => 4,
        }
    }

    /// Whether none of these numbers, native-endian, is infinite or NaN.
    pub fn all_finite(self, bytes: &[u8]) -> bool {
        match self {
            Dtype::U8 => true,
            Dtype::F16 => Float::F16.all_finite(bytes),
            Dtype::F32 => Float::F32.all_finite(bytes),
        }
    }

    fn arrow(self) -> DataType {
        match self {
            Dtype::U8 => DataType::UInt8,
            Dtype::F16 => DataType::Float16,
            Dtype::F32 => DataType::Float32,
        }
    }

    fn from_arrow(data_type: &DataType) -> Option<Dtype> {
        [Dtype::U8, Dtype::F16, Dtype::F32]
            .into_iter()
            .find(|dtype| dtype.arrow() == *data_type)
    }
}

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

/// A shard, memory-mapped.
pub struct TensorShard {
    ids: Vec<i64>,
    column: String,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Numbers of each batch, and the batch's first row.
    batches: Vec<(usize, Buffer)>,
    row_bytes: usize,
}

impl TensorShard {
    /// Maps the file; its tensors stay on disk until they are read.
    ///
    /// # Errors
    /// [`Error::Refused`] if the file is not such a shard.
    pub fn open(path: &Path) -> Result<TensorShard> {
        let file = File::open(path).at(path)?;
        // SAFETY: artifacts are written once and then only read or replaced by
        // rename, so the mapped file does not change under us. If somebody else
        // truncates it, the process ends with SIGBUS.
        let map = unsafe { memmap2::Mmap::map(&file) }.at(path)?;
        read(Buffer::from(Bytes::from_owner(map))).map_err(|why| {
            Error::refused(format!(
                "{}: {why}; make the artifact again",
                path.display()
            ))
        })
    }

    /// The image of each row.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Name of the tensor column.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Type of the numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of one row, straight from the map, or `None` beyond the end.
    pub fn row(&self, row: usize) -> Option<&[u8]> {
        if row >= self.ids.len() {
            return None;
        }
        let batch = self
            .batches
            .partition_point(|(first, _)| *first <= row)
            .checked_sub(1)?;
        let (first, buffer) = self.batches.get(batch)?;
        let start = (row - first) * self.row_bytes;
        buffer.as_slice().get(start..start + self.row_bytes)
    }
}

/// Tells the system that these bytes of a map will be read soon, so that it reads them at
/// once and not page by page.
pub fn will_need(bytes: &[u8]) {
    #[cfg(unix)]
    {
        let before = bytes.as_ptr().addr() % rustix::param::page_size();
        let start = bytes.as_ptr().wrapping_sub(before).cast_mut().cast();
        let advice = rustix::mm::Advice::WillNeed;
        // SAFETY: advice changes no memory; the range is of a slice, from its page's start.
        // If the system ignores the advice, it reads the bytes later.
        let _ = unsafe { rustix::mm::madvise(start, bytes.len() + before, advice) };
    }
    #[cfg(not(unix))]
    let _ = bytes;
}

fn read(buffer: Buffer) -> std::result::Result<TensorShard, String> {
    let broken = |what: &str| format!("not an Arrow IPC file ({what})");
    let trailer_start = buffer
        .len()
        .checked_sub(10)
        .ok_or_else(|| broken("too short"))?;
    let trailer: [u8; 10] = buffer[trailer_start..]
        .try_into()
        .map_err(|_| broken("no trailer"))?;
    let footer_length = read_footer_length(trailer).map_err(|e| broken(&e.to_string()))?;
    let footer_start = trailer_start
        .checked_sub(footer_length)
        .ok_or_else(|| broken("footer too long"))?;
    let footer =
        root_as_footer(&buffer[footer_start..trailer_start]).map_err(|e| broken(&e.to_string()))?;
    let schema = footer.schema().ok_or_else(|| broken("no schema"))?;
    if schema.endianness() != ipc::Endianness::Little {
        return Err("its numbers are big-endian; write them little-endian".into());
    }
    let schema = Arc::new(try_fb_to_schema(schema).map_err(|e| broken(&e.to_string()))?);
    let (dtype, shape) = tensor_type(&schema)?;
    let column = schema.field(1).name().clone();
    let blocks: Vec<Block> = footer
        .recordBatches()
        .map(|blocks| blocks.iter().copied().collect())
        .unwrap_or_default();
    let mut shard = TensorShard {
        ids: Vec::new(),
        column,
        dtype,
        row_bytes: shape.iter().product::<usize>() * dtype.bytes(),
        shape,
        batches: Vec::new(),
    };
    for block in blocks {
        let bytes = slice(&buffer, &block).ok_or_else(|| broken("a batch is outside the file"))?;
        shard.push(&bytes, block.metaDataLength())?;
        // Each id is eight bytes of the file, unless batches overlap.
        if shard.ids.len() > buffer.len() / 8 {
            return Err(broken("batches overlap"));
        }
    }
    Ok(shard)
}

fn slice(buffer: &Buffer, block: &Block) -> Option<Buffer> {
    let start = usize::try_from(block.offset()).ok()?;
    let length = usize::try_from(block.bodyLength())
        .ok()?
        .checked_add(usize::try_from(block.metaDataLength()).ok()?)?;
    (start.checked_add(length)? <= buffer.len()).then(|| buffer.slice_with_length(start, length))
}

impl TensorShard {
    /// Takes a batch: `bytes` are its message, of length `message`, and its body. Parsed by
    /// hand, because arrow-rs panics at invalid lengths and offsets.
    fn push(&mut self, bytes: &Buffer, message: i32) -> std::result::Result<(), String> {
        const STRANGE: &str = "a batch is damaged, or not of image_id and a tensor";
        let message = usize::try_from(message).map_err(|_| STRANGE)?;
        let header = bytes.get(..message).ok_or(STRANGE)?;
        // The continuation marker, absent before Arrow 0.15, and the length.
        let header = header.strip_prefix(&[0xff; 4]).unwrap_or(header);
        let header = root_as_message(header.get(4..).ok_or(STRANGE)?);
        let batch = header
            .ok()
            .and_then(|header| header.header_as_record_batch());
        let batch = batch.ok_or(STRANGE)?;
        if batch.compression().is_some() {
            return Err("its batches are compressed; write them without compression".into());
        }
        let body = bytes.slice(message);
        let (ids, numbers) = self.columns(&batch, &body).ok_or(STRANGE)?;
        self.batches.push((self.ids.len(), numbers));
        let ids = ids.as_chunks().0.iter();
        self.ids.extend(ids.map(|id| i64::from_le_bytes(*id)));
        Ok(())
    }

    /// The bytes of the ids and of the tensors' numbers.
    fn columns(&self, batch: &ipc::RecordBatch, body: &Buffer) -> Option<(Buffer, Buffer)> {
        let rows = usize::try_from(batch.length()).ok()?;
        let numbers = rows.checked_mul(self.row_bytes)?;
        // Lengths of the ids, the list and its numbers; none may be null.
        let expected = [rows, rows, numbers / self.dtype.bytes()];
        let nodes = batch.nodes()?;
        let good = nodes.len() == expected.len()
            && nodes.iter().zip(expected).all(|(node, length)| {
                usize::try_from(node.length()) == Ok(length) && node.null_count() == 0
            });
        // Validity and ids; the list's validity; validity and numbers.
        let buffers = batch
            .buffers()
            .filter(|buffers| good && buffers.len() == 5)?;
        let part = |index: usize, length: usize| {
            let buffer = buffers.get(index);
            let start = usize::try_from(buffer.offset()).ok()?;
            let there = usize::try_from(buffer.length()).ok()?;
            let inside = start.checked_add(length)? <= body.len();
            (inside && length <= there).then(|| body.slice_with_length(start, length))
        };
        Some((part(1, rows.checked_mul(8)?)?, part(4, numbers)?))
    }
}

/// Type and shape of the tensor column, from its extension metadata.
fn tensor_type(schema: &Schema) -> std::result::Result<(Dtype, Vec<usize>), String> {
    let [id, tensor] = schema.fields().as_ref() else {
        return Err(format!(
            "has {} columns, not image_id and a tensor",
            schema.fields().len()
        ));
    };
    let name = tensor.name();
    if id.name() != "image_id" {
        return Err(format!("its first column is {:?}, not image_id", id.name()));
    }
    let DataType::FixedSizeList(item, size) = tensor.data_type() else {
        return Err(format!("column {name:?} is not a tensor"));
    };
    let metadata = tensor.metadata();
    let extension = metadata.get(NAME).map(String::as_str);
    let described: Option<Tensor> = metadata
        .get(METADATA)
        .filter(|_| extension == Some(EXTENSION))
        .and_then(|text| serde_json::from_str(text).ok());
    let tensor_shape =
        described.ok_or_else(|| format!("column {name:?} has no {EXTENSION} metadata"))?;
    let shape = tensor_shape.shape;
    let order = tensor_shape.permutation.unwrap_or_default();
    if !order.iter().copied().eq(0..order.len()) {
        return Err(format!(
            "the numbers of column {name:?} are in another order (permutation {order:?}); write them row-major"
        ));
    }
    let elements = shape
        .iter()
        .try_fold(1usize, |product, n| product.checked_mul(*n));
    match (Dtype::from_arrow(item.data_type()), id.data_type()) {
        (Some(dtype), DataType::Int64) if elements == usize::try_from(*size).ok() => {
            Ok((dtype, shape))
        }
        _ => Err(format!(
            "columns of types {} and {}, shape {shape:?}",
            id.data_type(),
            tensor.data_type()
        )),
    }
}

/// Metadata of `arrow.fixed_shape_tensor`.
#[derive(serde::Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    /// Logical dimension of each physical one; row-major if it is absent.
    permutation: Option<Vec<usize>>,
}
