//! Checkpoint folders: safetensors and JSON, replaced whole or not at all.

use crate::metrics::Lengths;
use attend_artifact::{At, Error, Result, model};
use attend_model::weights::{self, StateDict};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where a run stands: with the weights and the optimizer's moments, all that
/// it needs to go on as if it had never stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Finished epochs.
    pub epoch: u64,
    /// Finished steps of the epoch that has begun.
    pub step_of_epoch: u64,
    /// Finished steps in all.
    pub step: u64,
    /// The best validation score so far, and the epochs since.
    pub best: Option<f64>,
    /// Epochs without a better score.
    pub since_best: u64,
    /// What the plateau schedule has made of the learning rates.
    pub decay: f64,
    /// Sum of the losses of the epoch's steps,
    pub loss_sum: f64,
    /// and their number.
    pub losses: u64,
    /// Steps that were left out, since the last one that was not.
    pub skipped: u64,
    /// The validation score of each finished epoch.
    pub scores: Vec<f64>,
    /// Lengths of the metrics files.
    pub metrics: Lengths,
}

impl Default for State {
    fn default() -> Self {
        State {
            epoch: 0,
            step_of_epoch: 0,
            step: 0,
            best: None,
            since_best: 0,
            decay: 1.0,
            loss_sum: 0.0,
            losses: 0,
            skipped: 0,
            scores: Vec::new(),
            metrics: Lengths::default(),
        }
    }
}

/// What a checkpoint is made of.
pub struct Checkpoint<'a> {
    /// Where the run stands.
    pub state: &'a State,
    /// Contents of `model.json`.
    pub card: &'a attend_model::ModelCard,
    /// The decoder's weights.
    pub decoder: StateDict,
    /// The encoder's weights, or the file to take them from.
    pub encoder: EncoderWeights,
    /// The moments, in a checkpoint to go on from.
    pub optimizer: Option<StateDict>,
    /// The vocabulary's file.
    pub vocabulary: &'a Path,
}

/// The encoder's part of a checkpoint.
pub enum EncoderWeights {
    /// A frozen encoder's file; it is linked, not copied, where the disk can.
    File(PathBuf),
    /// Weights that learn.
    Tensors(StateDict),
}

impl Checkpoint<'_> {
    /// Writes the checkpoint into `folder`, instead of the one that is there.
    ///
    /// # Errors
    /// [`Error::Internal`] from the disk; the old checkpoint stays then.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let new = folder.with_extension("new");
        remove(&new)?;
        std::fs::create_dir_all(&new).at(&new)?;
        let json = serde_json::to_string_pretty(self.card).map_err(Error::internal)?;
        write(&new.join("model.json"), &json)?;
        let vocabulary = new.join("vocab.json");
        std::fs::copy(self.vocabulary, &vocabulary).at(&vocabulary)?;
        tensors(&new.join("decoder.safetensors"), &self.decoder)?;
        let encoder = new.join("encoder.safetensors");
        match &self.encoder {
            EncoderWeights::Tensors(dict) => tensors(&encoder, dict)?,
            EncoderWeights::File(file) => {
                if std::fs::hard_link(file, &encoder).is_err() {
                    std::fs::copy(file, &encoder).at(&encoder)?;
                }
            }
        }
        if let Some(optimizer) = &self.optimizer {
            tensors(&new.join("optimizer.safetensors"), optimizer)?;
        }
        write(
            &new.join("state.json"),
            &serde_json::to_string_pretty(self.state).map_err(Error::internal)?,
        )?;
        let known = match &self.encoder {
            EncoderWeights::File(_) => &self.card.encoder_blake3,
            EncoderWeights::Tensors(_) => "",
        };
        let known = (!known.is_empty()).then(|| ("encoder.safetensors".into(), known.into()));
        model::seal(&new, &known.into_iter().collect())?;
        for entry in std::fs::read_dir(&new).at(&new)? {
            let path = entry.at(&new)?.path();
            File::open(&path)
                .and_then(|file| file.sync_all())
                .at(&path)?;
        }
        File::open(&new).and_then(|file| file.sync_all()).at(&new)?;
        let old = folder.with_extension("old");
        remove(&old)?;
        if folder.exists() {
            std::fs::rename(folder, &old).at(folder)?;
        }
        std::fs::rename(&new, folder).at(folder)?;
        remove(&old)
    }
}

/// The checkpoint of an interrupted run: `folder`, or, where the process died
/// between the two renames of [`Checkpoint::save`], the old one beside it.
/// `None` where there is none.
///
/// # Errors
/// [`Error::Internal`] from the disk, [`Error::Refused`] where it is damaged.
pub fn find(folder: &Path) -> Result<Option<(PathBuf, State)>> {
    let old = folder.with_extension("old");
    if !folder.join("state.json").exists() && old.join("state.json").exists() {
        std::fs::rename(&old, folder).at(&old)?;
    }
    let path = folder.join("state.json");
    if !path.exists() {
        return Ok(None);
    }
    let files = [
        "decoder.safetensors",
        "encoder.safetensors",
        "optimizer.safetensors",
        "state.json",
    ];
    model::check(folder, &files)?;
    let text = std::fs::read(&path).at(&path)?;
    let state = serde_json::from_slice(&text).map_err(|e| {
        Error::refused(format!(
            "{}: {e}; remove the staging folder to begin again",
            path.display()
        ))
    })?;
    Ok(Some((folder.to_owned(), state)))
}

fn tensors(path: &Path, dict: &StateDict) -> Result<()> {
    weights::write(path, dict).map_err(Error::internal)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, format!("{text}\n")).at(path)
}

/// Removes a checkpoint, if it is there.
///
/// # Errors
/// [`Error::Internal`] from the disk.
pub fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at(folder),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_to_the_bit() {
        // A score that an inexact reader makes smaller by one unit in the last
        // place, so that the same score again looks like a better one.
        let state = State {
            best: Some(0.999_999_999_932_638_9),
            loss_sum: 0.1 + 0.2,
            ..State::default()
        };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }
}
