//! Words that a task passes on to a program.

use attend_program::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Takes `--name VALUE` or `--name=VALUE` out of the arguments.
pub fn take(arguments: &mut Vec<OsString>, name: &str) -> Result<Option<PathBuf>> {
    let end = arguments
        .iter()
        .position(|argument| argument == "--")
        .unwrap_or(arguments.len());
    let joined = |argument: &OsString| {
        let rest = argument.as_bytes().strip_prefix(name.as_bytes())?;
        Some(PathBuf::from(OsStr::from_bytes(rest.strip_prefix(b"=")?)))
    };
    let is_it = |argument: &OsString| argument == name || joined(argument).is_some();
    let Some(at) = arguments.iter().take(end).position(is_it) else {
        return Ok(None);
    };
    if let Some(value) = joined(&arguments.remove(at)) {
        return Ok(Some(value));
    }
    if at < arguments.len() {
        Ok(Some(arguments.remove(at).into()))
    } else {
        Err(Error::usage(format!("{name} needs a value")))
    }
}
