//! One module per task.

pub mod bench;
pub mod caption;
pub mod clean;
pub mod compare;
pub mod demo;
pub mod doctor;
pub mod run;
pub mod setup;
pub mod stats;
pub mod status;
pub mod test;
pub mod verify;

use crate::error::{Error, Result};
use std::io::{ErrorKind, Write};

/// Writes a line of a task's result to standard output.
pub fn print(line: impl std::fmt::Display) -> Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        // `cargo xtask status | head` has seen enough.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::failed(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}
