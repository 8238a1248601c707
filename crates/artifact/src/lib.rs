//! The contract between the stages of the pipeline: what an artifact is, how
//! it is written whole or not at all, and how it is read back.
//!
//! An **artifact** is a folder with a `manifest.json`, written last. Its kind,
//! schema version, producer, effective parameters, inputs and files (with
//! BLAKE3 digests) stand in that manifest, and so does the artifact's own
//! digest, over all that matters and nothing that doesn't: no time, no path,
//! no host name.
//!
//! - [`stage`]: the command line that every stage has, and its run from
//!   arguments to exit code.
//! - [`staging`]: the folder in which an artifact grows until it is committed.
//! - [`manifest`], [`reader`]: the finished artifact.
//! - [`dataset`], [`vocabulary`], [`features`], [`model`]: typed views of the artifacts.
//! - [`tables`], [`ledger`]: a data set's tables as they are written, and what was left
//!   out, with its reason.
//! - [`shard`]: memory-mapped tensors, one row per image, that Arrow readers
//!   of any language open.
//! - [`record`]: typed rows of Parquet tables.
//! - [`verify`]: what can be wrong with an artifact's content.
//!
//! Nothing here knows what any stage does.

mod begin;
pub mod dataset;
mod difference;
mod digest;
pub mod features;
mod finite;
mod hashed;
pub mod ledger;
pub mod manifest;
pub mod model;
mod old;
pub mod reader;
pub mod record;
pub mod shard;
pub mod stage;
pub mod staging;
pub mod tables;
pub mod verify;
pub mod vocabulary;

pub use digest::digest_file;
pub use manifest::{Input, Manifest};
pub use reader::Artifact;
pub use record::Record;
pub use stage::{InputSpec, Stage, StageSpec};
pub use staging::{Piece, Staging};
