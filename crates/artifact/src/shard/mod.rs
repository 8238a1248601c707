//! Shards of tensors: Arrow IPC files, one row per image, read through a
//! memory map without a copy.
//!
//! Two columns: `image_id` (int64) and a tensor column of the canonical
//! extension type `arrow.fixed_shape_tensor`, which pyarrow opens as a numpy
//! array. The file is not compressed, so that the operating system's page cache
//! is the only cache.
//!
//! - `dtype`, `extension`: types of numbers, and of the tensor column.
//! - `write`, `read`: shards, row by row.

mod dtype;
mod extension;
mod read;
mod write;

pub use dtype::Dtype;
pub use read::{TensorShard, will_need};
pub use write::{TensorShardWriter, WrittenShard};
