//! One module per task.

pub mod bench;
pub mod caption;
pub mod clean;
pub mod compare;
pub mod completions;
pub mod conform;
pub mod demo;
pub mod diff;
pub mod dist;
pub mod doctor;
pub mod fetch;
pub mod gc;
pub mod graph;
pub mod init;
pub mod lock;
pub mod parameters;
pub mod program;
pub mod report;
pub mod run;
pub mod seal;
pub mod serve;
pub mod setup;
pub mod stats;
pub mod status;
pub mod sweep;
pub mod test;
pub mod verify;
pub mod wheel;
pub mod worst;

use attend_program::question::ask;
use attend_program::{Error, Result, output};
use std::fmt::Display;
use std::io::IsTerminal;

/// Writes a line of a task's result to standard output.
pub fn print(line: impl Display) -> Result<()> {
    output::print(line).map(drop)
}

/// Writes a task's result to standard output as JSON.
pub fn print_json(json: impl Display) -> Result<()> {
    output::print_json(json).map(drop)
}

/// The lines of a text, cut to the width of the terminal, if there is one.
pub fn fitted(text: &str) -> String {
    let out = std::io::stdout();
    let width = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    if !out.is_terminal() || width < 40 {
        return text.to_owned();
    }
    let cut = |line: &str| match line.char_indices().nth(width) {
        Some(_) => line.chars().take(width - 1).chain(['…']).collect(),
        None => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<String>>().join("\n")
}

/// Asks whether to delete something.
///
/// # Errors
/// [`Error::Usage`] without consent.
pub fn confirm(what: &str) -> Result<()> {
    match ask(&format!("{what}. Delete it?"))? {
        Some(true) => Ok(()),
        Some(false) => Err(Error::usage("nothing was deleted")),
        None => Err(Error::usage(format!("{what}: give --yes to delete it"))),
    }
}
