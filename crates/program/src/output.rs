//! Writes results to standard output.

use crate::{Error, Result, text};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Prints `text` and a line break. Escapes control characters in it except line breaks and
/// tabs, see [`text::escaped`].
///
/// Returns false if the reader is gone (`… | head`). That is not an error; a program that
/// has nothing else to do may end.
///
/// # Errors
/// [`Error::Internal`] if writing fails, such as on a full disk.
pub fn print(text: impl Display) -> Result<bool> {
    write(&text::escaped_but(&text.to_string(), &['\n', '\t']))
}

/// Like [`print()`], for JSON: its values stay exact, see [`text::json`].
///
/// # Errors
/// Those of [`print()`].
pub fn print_json(json: impl Display) -> Result<bool> {
    write(&text::json(&json.to_string()))
}

fn write(text: &str) -> Result<bool> {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::internal(format!("standard output: {e}"))),
    }
}
