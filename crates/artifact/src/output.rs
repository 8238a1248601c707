//! [`attend_program::output`], with our errors.

use crate::{Error, Result};
use attend_program::output;
use std::fmt::Display;

/// Prints `text` and a line break; false where nobody reads any more.
///
/// # Errors
/// [`Error::Internal`] where it can't be written.
pub fn print(text: impl Display) -> Result<bool> {
    output::print(text).map_err(Error::internal)
}

/// As [`print()`], for JSON.
///
/// # Errors
/// As [`print()`].
pub fn print_json(json: impl Display) -> Result<bool> {
    output::print_json(json).map_err(Error::internal)
}
