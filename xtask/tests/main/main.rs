//! Tests the runner as a user sees it, with stages that are small shell scripts.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers are not #[test] functions

mod arrows;
mod circles;
mod completions;
mod evaluations;
mod place;
mod promises;
mod runner;
mod runs;
mod setup;
mod store;
mod sweep;
