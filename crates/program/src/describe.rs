//! The description that a stage prints with `--describe`: one JSON object.

use crate::{Result, output};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Name, parameters, inputs and output of a stage. Stages of other projects may omit
/// fields that have a default here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// Name of its program.
    #[serde(default)]
    pub name: String,
    /// Its version: the output is made again when it changes.
    #[serde(default)]
    pub version: String,
    /// What it does, in one line.
    #[serde(default)]
    pub about: String,
    /// The artifacts that it reads.
    pub inputs: Vec<Input>,
    /// Kind of the artifact that it makes.
    pub output: String,
    /// Which parts of its output it can make again by themselves.
    #[serde(default)]
    pub parts: Parts,
    /// Section -> key -> default.
    pub parameters: Map<String, Value>,
    /// Parameters (`section.key`) that don't shape the output.
    #[serde(default)]
    pub unrecorded: Vec<String>,
    /// Parameters (`section.key`) that name files or folders of the user. `None`: any of
    /// `unrecorded` may.
    #[serde(default)]
    pub paths: Option<Vec<String>>,
    /// Whether it takes `--discard`.
    #[serde(default)]
    pub discard: bool,
    /// Whether it can continue from output made with other parameters, such as a shorter
    /// training.
    #[serde(default)]
    pub extends: bool,
    /// Whether it takes `--log FILE`.
    #[serde(default)]
    pub log: bool,
    /// Whether it takes `--check`, and prints [`Checked`].
    #[serde(default)]
    pub check: bool,
}

/// An artifact that a stage reads.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// Its kind.
    pub kind: String,
    /// Whether the stage needs it.
    pub required: bool,
}

/// Which parts of its output a stage can make again by themselves, byte for byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parts {
    /// Each shard: the stage takes `--shards`, `--repair`, `--task`, `--finalize`.
    Shards,
    /// Only the whole output, which takes moments: the stage takes `--repair`.
    Whole,
    /// None: making the output again takes long, or gives another artifact.
    #[default]
    None,
}

/// What a stage prints with `--check`, as JSON: what it has found out about data sets before
/// it runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checked {
    /// The splits of the data set that it will make, if it makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<Vec<String>>,
    /// The splits that its data set must have, by the parameter that names them.
    #[serde(default)]
    pub wants: BTreeMap<String, String>,
}

impl Checked {
    /// Prints it as JSON.
    ///
    /// # Errors
    /// Those of [`output::print_json`].
    pub fn print(&self) -> Result<()> {
        let json = serde_json::to_string(self).map_err(crate::Error::internal)?;
        output::print_json(json).map(drop)
    }
}

impl Description {
    /// Prints it as JSON.
    ///
    /// # Errors
    /// Those of [`output::print_json`].
    pub fn print(&self) -> Result<()> {
        let json = serde_json::to_string_pretty(self).map_err(crate::Error::internal)?;
        output::print_json(json).map(drop)
    }
}
