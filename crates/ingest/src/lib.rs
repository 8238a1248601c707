//! The stage `attend-ingest`: makes a `dataset` artifact from a data set's captions and
//! photographs.
//!
//! - [`config`]: the section `[dataset]`.
//! - [`formats`]: the layouts of data sets, one file each, and their list. They read
//!   annotation files into one common form, [`annotations::Annotations`], in which a
//!   photograph is a [`reference::Reference`]. [`objects`]: boxes of COCO instances.
//! - [`select`]: decides by the annotations which images and captions can be used;
//!   [`ids`], [`identity`]: assign their numbers; [`split`]: splits by content,
//!   [`shares`]: their parameter.
//! - [`source`]: reads a reference's bytes from a folder, an [`archive`] or a
//!   [Parquet file](parquet_file); [`name`]: untrusted file names; [`sniff`]: recognises
//!   unsuitable files.
//! - [`photograph`]: turns bytes into pixels or into a reason why not; [`pipeline`] does
//!   this in threads, [`shards`] writes the pixels, [`rows`] the tables.
//! - [`init`]: looks at a data set and writes a config for it.
//! - [`limit`]: the limit of rejected images.
//! - [`stage`]: all of it, from parameters to commit.
//!
//! A shard's bytes depend on its stretch of the annotation list and on its own photographs
//! only, not on threads or other shards.

pub mod annotations;
pub mod archive;
pub mod config;
pub mod formats;
pub mod identity;
pub mod ids;
pub mod init;
pub mod limit;
pub mod name;
pub mod objects;
pub mod parquet_file;
pub mod photograph;
pub mod pipeline;
pub mod reference;
pub mod rows;
pub mod select;
pub mod shards;
pub mod shares;
pub mod sniff;
pub mod source;
pub mod split;
pub mod stage;

pub use stage::{SPEC, check, run};
