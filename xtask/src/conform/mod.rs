//! Puts a stage of any language through what the contract promises.
//!
//! - `subject`: the stage under test, and its runs, each with exit code, message and time.
//! - `folder`: artifacts as files: digests, left-overs, damaged copies.
//! - `inputs`: small artifacts to read, made by our own stages.
//! - `trial`: a stage with the artifact that it made first.
//! - `checks`: what a stage must do, and what it should; the checks themselves are in
//!   `made`, `refused` and `stopped`.

mod checks;
mod folder;
mod inputs;
mod made;
mod refused;
mod stopped;
mod subject;
mod trial;

pub use checks::all;
pub use inputs::{make, programs};
pub use subject::Subject;
pub use trial::Verdict;
