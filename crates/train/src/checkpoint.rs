//! What the trainer puts into checkpoints, and where a run stands.

use crate::metrics::Lengths;
use attend_artifact::model;
use attend_artifact::model::ModelCard;
use attend_model::weights::{self, StateDict};
use attend_program::{At, Error, Result};
use serde::{Deserialize, Serialize};
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
pub struct Contents<'a> {
    /// Where the run stands.
    pub state: &'a State,
    /// Contents of `model.json`.
    pub card: &'a ModelCard,
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

impl Contents<'_> {
    /// Writes the checkpoint into `folder`, instead of the one that is there.
    ///
    /// # Errors
    /// [`Error::Internal`] from the disk; the old checkpoint stays then.
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
            EncoderWeights::File(file) => {
                let encoder = new.join(model::ENCODER);
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

/// Where the checkpoint in `folder`, one to go on from, stands; `None` where there is none.
///
/// # Errors
/// [`Error::Internal`] from the disk, [`Error::Refused`] where it is damaged.
pub fn read(folder: &Path) -> Result<Option<State>> {
    let path = folder.join(model::STATE);
    if !path.exists() {
        return Ok(None);
    }
    model::check(
        folder,
        &[
            model::DECODER,
            model::ENCODER,
            model::OPTIMIZER,
            model::STATE,
        ],
    )?;
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
