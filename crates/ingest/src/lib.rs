//! The stage `attend-ingest`: captions and photographs as data sets ship them
//! in, a `dataset` artifact out.
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
//! A shard's content is a function of its run of the annotation list and of the
//! photographs in it: neither threads nor other shards have a say in its bytes.

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
