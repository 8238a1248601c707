//! One module per task.

pub mod bench;
pub mod caption;
pub mod clean;
pub mod compare;
pub mod completions;
pub mod conform;
pub mod demo;
pub mod dist;
pub mod doctor;
pub mod parameters;
pub mod run;
pub mod setup;
pub mod stats;
pub mod status;
pub mod test;
pub mod verify;

use attend_program::{Result, output};
use std::fmt::Display;

/// Writes a line of a task's result to standard output.
pub fn print(line: impl Display) -> Result<()> {
    output::print(line).map(drop)
}

/// Writes a task's result to standard output as JSON.
pub fn print_json(json: impl Display) -> Result<()> {
    output::print_json(json).map(drop)
}
