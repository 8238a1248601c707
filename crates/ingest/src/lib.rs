//! The stage `attend-ingest`: makes a `dataset` artifact from captions and photographs as
//! data sets ship them.
//!
//! - [`config`]: the section `[dataset]`.
//! - [`formats`]: the layouts of data sets, one file each, and their list. They read
//!   annotation files to one common form, [`annotations::Annotations`], in which a
//!   photograph is a [`reference::Reference`]. [`objects`]: boxes of COCO instances.
//! - [`select`]: which images and captions can be used, by their annotations;
//!   [`ids`], [`identity`]: the numbers that they get.
//! - [`source`]: a reference to bytes, out of a folder or an [`archive`]; [`name`]: file
//!   names that come from outside; [`sniff`]: what a file is that is none of these.
//! - [`photograph`]: bytes to pixels or to a reason why not; [`pipeline`] does it in
//!   threads, [`shards`] writes what comes out, [`rows`] enters it in the tables.
//! - [`limit`]: how many images may be left out.
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
pub mod limit;
pub mod name;
pub mod objects;
pub mod photograph;
pub mod pipeline;
pub mod reference;
pub mod rows;
pub mod select;
pub mod shards;
pub mod sniff;
pub mod source;
pub mod stage;

pub use stage::{SPEC, run};
