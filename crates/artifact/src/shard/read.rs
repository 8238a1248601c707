//! Maps and checks shards.

use super::dtype::Dtype;
use super::extension::tensor_type;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{self as ipc, Block, root_as_footer, root_as_message};
use attend_program::{At, Error, Result};
use bytes::Bytes;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

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
