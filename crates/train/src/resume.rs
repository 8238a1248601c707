//! Decides whether a run may resume from a state that was made with other parameters: it
//! may if it would have reached the same state itself.

use crate::checkpoint::{self, State};
use crate::config::{NotFinite, Schedule, Train};
use crate::metrics::{EVENTS, LINES};
use attend_artifact::{Artifact, model};
use attend_program::{At, Result};
use std::path::Path;

/// Whether a run with the parameters `train` would reach the state in `folder`, a model
/// that is finished or not, although the parameters named in `changed` differ. It would
/// if these only say how long a run lasts, what it keeps, or what it does in a case that
/// has not occurred.
pub fn extends(train: &Train, folder: &Path, changed: &[&str]) -> bool {
    let found = model::recover(folder);
    let state = match found.and_then(|()| checkpoint::read(&folder.join("checkpoints/last"))) {
        Ok(Some(state)) => state,
        // Nothing was trained yet.
        Ok(None) => return !folder.join("checkpoints/best").exists(),
        Err(_) => return false,
    };
    let harmless = |key: &&str| match *key {
        "train.epochs" => train.schedule != Schedule::Cosine,
        "train.stop_patience" | "train.keep_last" | "train.keep_best" => true,
        "train.not_finite" => train.not_finite == NotFinite::Skip,
        _ => false,
    };
    let kept = kept(train, &state);
    changed.iter().all(harmless)
        && !is_past_the_end(train, &state)
        && (kept.iter()).all(|epoch| model::epoch(folder, *epoch).exists())
}

/// Whether a run with the parameters `train` would have ended before this state.
fn is_past_the_end(train: &Train, state: &State) -> bool {
    let mut best = None;
    let mut since_best = 0;
    for (epoch, score) in (0..).zip(&state.scores) {
        if epoch >= train.epochs || since_best >= train.stop_patience {
            return true;
        }
        let better = best.is_none_or(|best| score > best);
        (best, since_best) = match better {
            true => (Some(score), 0),
            false => (best, since_best + 1),
        };
    }
    let ends = state.epoch >= train.epochs || since_best >= train.stop_patience;
    ends && state.step_of_epoch > 0
}

/// The finished epochs, counted from 1, whose checkpoints are kept: the last and the best.
pub fn kept(train: &Train, state: &State) -> Vec<usize> {
    let scores = &state.scores;
    // The last and the best one are `last` and `best` already.
    let extra = |n: usize| if n > 1 { n } else { 0 };
    let mut best: Vec<usize> = (0..scores.len()).collect();
    best.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    best.truncate(extra(train.keep_best));
    let kept =
        |epoch: &usize| epoch + extra(train.keep_last) >= scores.len() || best.contains(epoch);
    (0..scores.len())
        .filter(kept)
        .map(|epoch| epoch + 1)
        .collect()
}

/// Takes the files of a finished model over into the folder of a run that continues it.
/// The last checkpoint comes last, so that a run that was killed before repeats this.
///
/// # Errors
/// [`attend_program::Error::Refused`] if the model is damaged,
/// [`attend_program::Error::Internal`] of the file system.
pub fn take_over(before: &Path, folder: &Path) -> Result<()> {
    let before = Artifact::open(before)?;
    before.verify()?;
    let last = folder.join("checkpoints/last.new");
    for file in &before.manifest.files {
        let to = match file.name.strip_prefix("checkpoints/last/") {
            Some(name) => last.join(name),
            None => folder.join(&file.name),
        };
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        let from = before.root.join(&file.name);
        let _ = std::fs::remove_file(&to);
        // Metrics files are appended to; checkpoints are replaced as a whole.
        let grows = [LINES, EVENTS].contains(&file.name.as_str());
        if grows || std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).at(&to)?;
        }
    }
    model::swap(&folder.join("checkpoints/last"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_to_a_state_unless_it_had_ended_before() {
        let mut train = Train {
            epochs: 4,
            stop_patience: 2,
            ..Train::default()
        };
        let mut state = State {
            epoch: 3,
            scores: vec![0.5, 0.4, 0.6],
            ..State::default()
        };
        assert!(!is_past_the_end(&train, &state));
        train.epochs = 3;
        assert!(!is_past_the_end(&train, &state), "it ends just here");
        state.step_of_epoch = 1;
        assert!(is_past_the_end(&train, &state));
        train.epochs = 2;
        state.step_of_epoch = 0;
        assert!(is_past_the_end(&train, &state));
        train.epochs = 9;
        train.stop_patience = 1;
        assert!(is_past_the_end(&train, &state), "after the second epoch");
    }

    #[test]
    fn the_last_and_the_best_epochs_are_kept() {
        let state = State {
            scores: vec![0.1, 0.9, 0.9, 0.2, 0.3],
            ..State::default()
        };
        let kept = |keep_last, keep_best| {
            let train = Train {
                keep_last,
                keep_best,
                ..Train::default()
            };
            kept(&train, &state)
        };
        assert_eq!(kept(1, 1), [] as [usize; 0]);
        assert_eq!(kept(2, 1), [4, 5]);
        assert_eq!(kept(1, 3), [2, 3, 5]);
        assert_eq!(kept(2, 2), [2, 3, 4, 5]);
    }
}
