//! The parameters of a report.

use serde::{Deserialize, Serialize};

/// The section of the config that the report reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The report.
    pub report: Report,
}

/// `[report]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Name of the run, for headings.
    pub name: String,
    /// Folder of another evaluation of the same images, to compare with.
    pub against: String,
    /// Name of that other run.
    pub against_name: String,
}

impl Report {
    /// The names of both runs.
    pub fn names(&self) -> [&str; 2] {
        let given = [
            (&self.name, "evaluation"),
            (&self.against_name, "the other run"),
        ];
        given.map(|(name, none)| if name.is_empty() { none } else { name })
    }
}
