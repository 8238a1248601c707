//! Checkpoints and the state of a run.

use crate::metrics::Lengths;
use attend_artifact::model;
use attend_artifact::model::{Checkpoint, ModelCard};
use attend_model::weights::{self, StateDict};
use attend_program::{At, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The state of a run. Together with the weights and the optimizer's moments, it is all
/// that a run needs to continue as if it had never stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Finished epochs.
    pub epoch: u64,
    /// Finished steps of the current epoch.
    pub step_of_epoch: u64,
    /// Finished steps in all.
    pub step: u64,
    /// The best validation score so far.
    pub best: Option<f64>,
    /// Epochs since the best score.
    pub since_best: u64,
    /// Factor of the learning rates by the schedule `plateau`.
    pub decay: f64,
    /// Sum of the cross entropies of the current epoch's steps.
    pub loss_sum: f64,
    /// Number of the terms of `loss_sum`.
    pub losses: u64,
    /// Consecutive skipped steps, up to now.
    pub skipped: u64,
    /// The validation score of each finished epoch.
    pub scores: Vec<f64>,
    /// With hard attention, the moving mean of captions' log-probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
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
            baseline: None,
            metrics: Lengths::default(),
        }
    }
}

/// Contents of a checkpoint.
pub struct Contents<'a> {
    /// State of the run.
    pub state: &'a State,
    /// Contents of `model.json`.
    pub card: &'a ModelCard,
    /// The decoder's weights.
    pub decoder: StateDict,
    /// The encoder's weights, or the file to take them from.
    pub encoder: EncoderWeights,
    /// The optimizer's moments, if the checkpoint is one to resume from.
    pub optimizer: Option<StateDict>,
    /// The vocabulary's file.
    pub vocabulary: &'a Path,
}

/// The encoder's part of a checkpoint.
pub enum EncoderWeights {
    /// Another program has the encoder.
    Elsewhere,
    /// A frozen encoder's file; it is linked if the file system can, or else copied.
    File(PathBuf),
    /// Trained weights.
    Tensors(StateDict),
}

impl Contents<'_> {
    /// Writes the checkpoint into `folder`, in place of an existing one.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system; the old checkpoint is then kept.
    pub fn save(&self, folder: &Path) -> Result<()> {
        model::write(folder, self.card, self.vocabulary, |new| self.put(new))
    }

    fn put(&self, new: &Path) -> Result<()> {
        let tensors = |name: &str, dict: &StateDict| {
            weights::write(&new.join(name), dict).map_err(Error::internal)
        };
        tensors(model::DECODER, &self.decoder)?;
        match &self.encoder {
            EncoderWeights::Tensors(dict) => tensors(model::ENCODER, dict)?,
            EncoderWeights::Elsewhere => {}
            EncoderWeights::File(file) => {
                let encoder = new.join(self.card.encoder.file().unwrap_or_default());
                if std::fs::hard_link(file, &encoder).is_err() {
                    std::fs::copy(file, &encoder).at(&encoder)?;
                }
            }
        }
        if let Some(optimizer) = &self.optimizer {
            tensors(model::OPTIMIZER, optimizer)?;
        }
        let path = new.join(model::STATE);
        let state = serde_json::to_string_pretty(self.state).map_err(Error::internal)?;
        std::fs::write(&path, state + "\n").at(&path)
    }
}

/// Reads the state from the checkpoint in `folder`, one to resume from; `None` if there
/// is none.
///
/// # Errors
/// [`Error::Internal`] of the file system, [`Error::Refused`] if it is damaged.
pub fn read(folder: &Path) -> Result<Option<State>> {
    let path = folder.join(model::STATE);
    if !path.exists() {
        return Ok(None);
    }
    let mut files = vec![model::DECODER, model::OPTIMIZER, model::STATE];
    files.extend(Checkpoint::open(folder)?.card.encoder.file());
    model::check(folder, &files)?;
    let text = std::fs::read(&path).at(&path)?;
    let state = serde_json::from_slice(&text).map_err(|e| {
        Error::refused(format!(
            "{}: {e}; remove the staging folder to begin again",
            path.display()
        ))
    })?;
    Ok(Some(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_to_the_bit() {
        // An inexact reader makes this score smaller by one unit in the last place, so
        // that the same score would look like a better one.
        let state = State {
            best: Some(0.999_999_999_932_638_9),
            loss_sum: 0.1 + 0.2,
            ..State::default()
        };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }
}
