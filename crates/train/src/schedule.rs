//! Learning-rate schedules.

use crate::config::{Schedule, Train};
use std::f64::consts::PI;

/// The factor of both learning rates at a step.
///
/// `step` counts the steps before it, `epoch` the finished epochs, `epochs` the same with
/// the fraction of the current one; `decay` is the factor by the schedule `plateau`.
pub fn factor(train: &Train, step: u64, epoch: u64, epochs: f64, decay: f64) -> f64 {
    let warmup = match train.warmup_steps {
        0 => 1.0,
        steps => ((step + 1) as f64 / steps as f64).min(1.0),
    };
    warmup
        * match train.schedule {
            Schedule::Constant => 1.0,
            Schedule::Plateau => decay,
            Schedule::Step => {
                let decays = epoch / train.decay_epochs;
                train.decay.powi(i32::try_from(decays).unwrap_or(i32::MAX))
            }
            Schedule::Cosine => 0.5 * (1.0 + (PI * epochs / train.epochs as f64).cos()),
        }
}

/// Whether the schedule `plateau` lowers the rates after `since_best` epochs without a
/// better score.
pub fn decays(train: &Train, since_best: u64) -> bool {
    let patience = train.decay_patience;
    train.schedule == Schedule::Plateau
        && since_best > 0
        && patience > 0
        && since_best.is_multiple_of(patience)
}
