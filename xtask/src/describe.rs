//! What a stage says about itself.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::process::{Command, Stdio};

/// Output of a stage's `--describe`.
#[derive(Debug, Deserialize)]
pub struct Description {
    /// The artifacts that it reads.
    pub inputs: Vec<Input>,
    /// Kind of the artifact that it makes.
    pub output: String,
    /// Section -> key -> default.
    pub parameters: Map<String, Value>,
    /// What of its output it can make again alone.
    #[serde(default)]
    pub parts: Parts,
    /// Whether it takes `--discard`.
    #[serde(default)]
    pub discard: bool,
}

/// What of an artifact its stage can make again alone, to the byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parts {
    /// Each shard.
    Shards,
    /// The whole.
    Whole,
    /// Nothing, or it doesn't say.
    #[default]
    None,
}

/// An artifact that a stage reads.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Its kind.
    pub kind: String,
    /// Whether the stage can't do without.
    pub required: bool,
}

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
