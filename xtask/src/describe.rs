//! Asking a stage what it says about itself.

use attend_program::describe::Description;
use attend_program::{Error, Result};
use std::process::{Command, Stdio};

/// Asks a stage.
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
            "{name} --describe failed ({}): it is no stage, or can't run here",
            output.status
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::usage(format!("{name} --describe is not understood: {e}")))
}
