//! Finds a run's evaluation and the data set that it is of.

use crate::folders::name;
use crate::runs::{Entry, FolderState, entries, find};
use crate::store::Manifest;
use crate::workspace::shown;
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};

/// A run's evaluation.
pub struct Evaluation {
    /// The run's name.
    pub name: String,
    /// The run's folder.
    pub run: PathBuf,
    /// Folder of the evaluation artifact.
    pub folder: PathBuf,
    /// Folder of the data set artifact.
    pub dataset: PathBuf,
    /// The split that was evaluated, and its number of images.
    images: (Option<String>, Option<u64>),
}

impl Evaluation {
    /// Finds the evaluation of a run, given by its name or its folder; `dataset` stands for
    /// the run's own data set.
    ///
    /// # Errors
    /// [`Error::Usage`] if the run has no evaluation, or its data set is not there.
    pub fn find(artifacts: &Path, run: &str, dataset: Option<&Path>) -> Result<Evaluation> {
        let folder = find(artifacts, run)?;
        let made = entries(&folder)?;
        let of_kind = |kind: &str| -> Vec<(&Entry, &Manifest)> {
            let done = made.iter().filter_map(|entry| match &entry.state {
                FolderState::Done(manifest) if manifest.kind == kind => Some((entry, &**manifest)),
                _ => None,
            });
            done.collect()
        };
        let evaluations = of_kind("evaluation");
        let usual = evaluations
            .iter()
            .find(|(entry, _)| name(&entry.path) == "evaluation");
        let (evaluation, manifest) = match (usual, &evaluations[..]) {
            (Some(usual), _) => usual,
            (_, [only]) => only,
            (_, []) => {
                return Err(Error::usage(format!(
                    "{}: has no evaluation yet; `cargo xtask evaluate --run {run}` makes it",
                    shown(&folder)
                )));
            }
            (_, several) => {
                let names: Vec<String> = several.iter().map(|(e, _)| name(&e.path)).collect();
                return Err(Error::usage(format!(
                    "{}: has several evaluations ({}), and none is called evaluation",
                    shown(&folder),
                    names.join(", ")
                )));
            }
        };
        let stated = manifest.inputs.get("dataset").map(|input| &input.digest);
        let datasets = of_kind("dataset");
        let own = datasets
            .iter()
            .find(|(_, made)| stated.is_none_or(|d| *d == made.digest));
        let dataset = match (dataset, own) {
            (Some(given), _) => given.to_owned(),
            (_, Some((entry, _))) => entry.path.clone(),
            (_, None) => {
                return Err(Error::usage(format!(
                    "{}: the data set of its evaluation is not in the run any more; name it with --dataset, or evaluate again",
                    shown(&folder)
                )));
            }
        };
        let split = manifest.config["evaluate"]["split"].as_str();
        Ok(Evaluation {
            name: name(&folder),
            images: (
                split.map(str::to_owned),
                manifest.counts.get("images").copied(),
            ),
            folder: evaluation.path.clone(),
            dataset,
            run: folder,
        })
    }

    /// Whether this looks like an evaluation of the same images: of as many, in a split of the
    /// same name.
    pub fn is_like(&self, other: &Evaluation) -> bool {
        self.images == other.images
    }
}
