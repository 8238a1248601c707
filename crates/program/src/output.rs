//! Standard output: what a program was asked for.

use crate::{Error, Result, text};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Prints `text` and a line break. Control characters in it are written out, see
/// [`text::escaped`], but for line breaks and tabs.
///
/// False where nobody reads any more (`… | head`). That is no error; a program that
/// has nothing else to do may end.
///
/// # Errors
/// [`Error::Internal`] where the system refuses, such as on a full disk.
pub fn print(text: impl Display) -> Result<bool> {
    write(&text::escaped_but(&text.to_string(), &['\n', '\t']))
}

/// As [`print()`], for JSON: its values stay exact, see [`text::json`].
///
/// # Errors
/// As [`print()`].
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
