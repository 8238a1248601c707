//! What tests of several crates share: small artifacts, and programs run from outside.
//!
//! - [`mod@run`]: `command.ok()`, `command.refused(code, words)`.
//! - [`dataset`], [`vocabulary`], [`features`], [`checkpoint`]: artifacts of a few rows,
//!   written by the code that writes real ones.
//! - [`foreign`]: a network of another program.
//!
//! Only tests depend on this crate: it panics where something fails.
#![deny(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

pub mod checkpoint;
pub mod dataset;
pub mod features;
pub mod foreign;
pub mod run;
pub mod vocabulary;

pub use checkpoint::Weights;
pub use dataset::{DataSet, Split};
pub use run::{Ended, Run};

use attend_artifact::{Input, Manifest};
use std::path::PathBuf;

/// The folder of real photographs and weights, `$ATTEND_DATA`. Tests that need it are
/// ignored unless they are asked for (`--include-ignored`), as `cargo xtask test` does if it
/// is set.
///
/// # Panics
/// If it is not set.
pub fn data() -> PathBuf {
    let data = std::env::var_os("ATTEND_DATA");
    data.unwrap_or_else(|| panic!("ATTEND_DATA is not set"))
        .into()
}

/// A manifest of that kind, made by nobody, from a data set of that digest.
fn draft_from(kind: &str, dataset: &str) -> Manifest {
    let mut draft = Manifest::draft(kind, "test", "1");
    let input = Input {
        kind: "dataset".into(),
        digest: dataset.into(),
    };
    draft.inputs.insert("dataset".into(), input);
    draft
}
