//! The stage `attend-ingest`: captions and photographs as data sets ship them
//! in, a `dataset` artifact out.
//!
//! - [`config`]: the section `[dataset]`.
//! - [`coco`], [`karpathy`], [`flickr8k`]: annotation files to one common form,
//!   [`annotations::Annotations`]; [`objects`]: boxes of COCO instances;
//!   [`diagnose`]: what a file is that is none of these.
//! - [`hdf5`]: the files of the PyTorch tutorial, in and out.
//! - [`select`]: which images and captions can be used, by their annotations;
//!   [`ids`]: the numbers that they get.
//! - [`source`]: a file name to bytes, out of a folder or an [`archive`].
//! - [`photograph`]: those to pixels or to a reason; [`pipeline`] does it in
//!   threads, [`shards`] writes what comes out.
//! - [`ledger`]: the reason codes, and how a run reports what it left out.
//! - [`stage`]: all of it, from parameters to commit.
//!
//! A shard's content is a function of its run of the annotation list and of the
//! photographs in it: neither threads nor other shards have a say in its bytes.

pub mod annotations;
pub mod archive;
pub mod coco;
pub mod config;
pub mod diagnose;
pub mod flickr8k;
pub mod hdf5;
pub mod ids;
pub mod karpathy;
pub mod ledger;
mod loose;
pub mod objects;
pub mod photograph;
pub mod pipeline;
pub mod select;
pub mod shards;
pub mod source;
pub mod stage;

pub use stage::{SPEC, run};
