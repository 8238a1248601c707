//! `cargo xtask attend-PROGRAM …`: runs a program of the workspace by its name.

use crate::child;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::config::nearest;
use attend_program::{Error, Result};
use std::ffi::OsString;

/// Builds the program that `words` begins with, and runs it with the rest of them. `tasks`
/// are the names that the user may have meant.
pub fn run(workspace: &Workspace, words: &[OsString], tasks: &[String]) -> Result<()> {
    let (name, arguments) = words
        .split_first()
        .ok_or_else(|| Error::internal("no name of a program"))?;
    let name = name.to_string_lossy();
    let programs = match name.starts_with("attend-") {
        true => Some(Programs::prepare(workspace, [&*name], None)?),
        false => None,
    };
    let Some(programs) = programs.filter(|programs| programs.is_ours(&name)) else {
        let near = nearest(&name, tasks.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
        return Err(Error::usage(format!("no task or program {name}{near}")));
    };
    child::run_ok(programs.command(&[name.into_owned()])?.args(arguments))
}
