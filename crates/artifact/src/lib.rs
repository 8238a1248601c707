//! The contract between the stages of the pipeline: what an artifact is, how
//! it is written atomically, and how it is read back.
//!
//! An **artifact** is a folder with a `manifest.json`, written last. The manifest
//! holds its kind, schema version, producer, effective parameters, inputs and files
//! (with BLAKE3 digests), and a digest of all these. Nothing else goes into that
//! digest: no time, no path, no host name.
//!
//! - [`schemas`]: JSON Schemas of the contract's JSON files.
//! - [`stage`]: the command line of every stage, and its run from arguments to exit
//!   code.
//! - [`staging`]: the folder in which an artifact grows until it is committed.
//! - [`manifest`], [`reader`]: the finished artifact.
//! - [`dataset`], [`vocabulary`], [`features`], [`model`], [`evaluation`]: typed views of the
//!   artifacts.
//! - [`tables`], [`ledger`]: writing a data set's tables; what was left out, and why.
//! - [`shard`]: memory-mapped tensors, one row per image, that Arrow readers
//!   of any language open.
//! - [`record`]: typed rows of Parquet tables.
//! - [`verify`]: judges an artifact of any program: lists every [`Finding`].
//! - [`mod@seal`]: writes the manifest of files that a program wrote without one.
//!
//! Nothing in this crate depends on what a stage does.

mod begin;
mod convert;
pub mod dataset;
mod difference;
mod digest;
pub mod evaluation;
pub mod features;
mod finding;
mod findings;
mod finite;
mod hashed;
pub mod ledger;
pub mod manifest;
pub mod model;
mod old;
pub mod reader;
pub mod record;
pub mod schemas;
pub mod seal;

pub mod shard;
pub mod stage;
pub mod staging;
pub mod tables;
pub mod verify;
pub mod vocabulary;

pub use digest::digest_file;
pub use finding::Finding;
pub use manifest::{Input, Manifest};
pub use reader::Artifact;
pub use record::Record;
pub use stage::{InputSpec, Stage, StageSpec};
pub use staging::{Piece, Staging};
