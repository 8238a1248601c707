//! Asks a stage for its description (`--describe`).

use attend_program::describe::Description;
use attend_program::{Error, Result};
use std::process::{Command, Stdio};

/// Runs the stage with `--describe` and reads the JSON that it prints.
pub fn describe(mut command: Command) -> Result<Description> {
    let name = crate::child::name(&command);
    let output = command
        .arg("--describe")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Error::usage(format!("{name} can't be started: {e}")))?;
    if !output.status.success() {
        return Err(Error::usage(format!(
            "{name} --describe failed ({}): it is not a stage, or can't run here",
            output.status
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::usage(format!("{name} --describe is not understood: {e}")))
}
