//! Checks an artifact's content against the contract, beyond what is checked each time it
//! is opened. Any program may have made the artifact.

mod dataset;
mod evaluation;
mod faults;
mod model;

use crate::Artifact;
use crate::features::Features;
use crate::model::check_finite;
use crate::vocabulary::Vocabulary;
use attend_program::{Error, Result};
use faults::Faults;
use std::collections::HashSet;

/// Returns everything that is wrong with an artifact's content, file by file.
/// [`Artifact::verify`] compares the bytes.
///
/// # Errors
/// [`Error::Refused`] if a file is not of the format that it should have.
pub fn faults(artifact: &Artifact) -> Result<Vec<Error>> {
    let mut faults = Faults {
        artifact,
        found: Vec::new(),
    };
    match artifact.manifest.kind.as_str() {
        "dataset" => dataset::check(&mut faults)?,
        "vocabulary" => drop(Vocabulary::open_encoded(artifact)?),
        "features" => features(&mut faults)?,
        "model" => model::check(&mut faults)?,
        "evaluation" => evaluation::check(&mut faults)?,
        _ => {}
    }
    for file in &artifact.manifest.files {
        if file.name.ends_with(".safetensors") {
            faults.add(check_finite(&artifact.root.join(&file.name)))?;
        }
    }
    // Two checks of one file may find the same damage.
    let mut seen = HashSet::new();
    faults.found.retain(|fault| seen.insert(fault.to_string()));
    Ok(faults.found)
}

fn features(faults: &mut Faults) -> Result<()> {
    let features = Features::open(faults.artifact)?;
    faults.count("shards", "images", features.ids().count());
    faults.object("encoder.json");
    faults.add(features.check_finite())
}
