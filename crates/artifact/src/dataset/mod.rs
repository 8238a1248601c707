//! The `dataset` artifact: images of one size, their captions, and what was
//! left out.
//!
//! | file | columns |
//! |---|---|
//! | `images.parquet` | [`ImageRecord`] |
//! | `captions.parquet` | [`CaptionRecord`] |
//! | `objects.parquet` | [`ObjectRecord`]; without rows if the source has no boxes |
//! | `rejected.parquet` | [`RejectedRecord`] |
//! | `shards/{split}-{00000}.arrow` | `image_id`, `image` uint8 [3, H, W] ([`crate::shard`]) |
//!
//! Counts: `image_height` and `image_width`; if they are given, also `images`, `captions`,
//! `objects`, `rejected`, `rejected.REASON` and `damaged`.
//!
//! - `rows`: the tables' rows. `split`: names and order of splits and shards.
//! - `check`: what must agree. `open`: the open data set.

mod check;
mod open;
mod rows;
mod split;

pub use open::Dataset;
pub use rows::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
pub(crate) use split::parse_shard_file;
pub use split::{is_split_name, shard_file, split_order};
