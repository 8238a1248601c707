//! A caption that a search has found.

use super::options::SearchOptions;
use super::path::Path;
use crate::slices::numbers;
use std::cmp::Ordering;
use tch::{Device, Kind, Tensor};

/// A caption with its probability and attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The tokens, without `<start>` and `<end>`.
    pub tokens: Vec<i64>,
    /// The log-probability of each token.
    pub token_log_probs: Vec<f64>,
    /// Sum of the tokens' log-probabilities, including that of `<end>` if the caption is
    /// finished.
    pub log_prob: f64,
    /// By which hypotheses are ranked: the log-probability, normalised by the length.
    pub score: f64,
    /// Whether it ended with `<end>`.
    pub finished: bool,
    /// Attention of each token over the P cells.
    pub alphas: Vec<Vec<f32>>,
}

/// A hypothesis that ended.
pub(super) struct Ended {
    path: Path,
    log_prob: f64,
    pub score: f64,
    pub finished: bool,
}

impl Ended {
    /// The end of a path: `log_prob` is of the whole caption.
    pub fn new(path: Path, log_prob: f64, finished: bool, options: &SearchOptions) -> Ended {
        let tokens = path.len() + usize::from(finished);
        Ended {
            score: options.length_norm.score(log_prob, tokens),
            path,
            log_prob,
            finished,
        }
    }

    /// Better ones first.
    pub fn order(&self, other: &Ended) -> Ordering {
        let scores = other.score.partial_cmp(&self.score);
        let finished = other.finished.cmp(&self.finished);
        finished.then(scores.unwrap_or(Ordering::Equal))
    }
}

/// The best `keep` hypotheses of each image; `attention` has that of all steps, (B, P) each.
pub(super) fn ranked(
    found: Vec<Vec<Ended>>,
    attention: &[Tensor],
    keep: usize,
) -> Vec<Vec<Hypothesis>> {
    let attention: Vec<Tensor> = (attention.iter())
        .map(|of_step| {
            of_step
                .to_device(Device::Cpu)
                .to_kind(Kind::Float)
                .contiguous()
        })
        .collect();
    let of_image = |mut found: Vec<Ended>| {
        found.sort_by(Ended::order);
        let best = found.iter().take(keep.max(1));
        best.map(|ended| hypothesis(ended, &attention)).collect()
    };
    found.into_iter().map(of_image).collect()
}

fn hypothesis(ended: &Ended, attention: &[Tensor]) -> Hypothesis {
    let nodes = ended.path.nodes();
    let alpha = |(node, of_step): (_, &Tensor)| {
        let (_, _, row): (i64, f64, usize) = node;
        let cells = of_step.size()[1] as usize;
        numbers(of_step)[row * cells..][..cells].to_vec()
    };
    Hypothesis {
        tokens: nodes.iter().map(|(token, ..)| *token).collect(),
        token_log_probs: nodes.iter().map(|(_, log_prob, _)| *log_prob).collect(),
        log_prob: ended.log_prob,
        score: ended.score,
        finished: ended.finished,
        alphas: nodes.iter().copied().zip(attention).map(alpha).collect(),
    }
}
