//! Captions drawn from the model's distribution.

use super::candidates::{Candidate, best, drawn};
use super::constraints::{Allowed, allowed, never};
use super::ensemble::Ensemble;
use super::hypothesis::{Ended, Hypothesis, ranked};
use super::options::{Sampling, SearchOptions};
use super::path::Path;
use attend_program::random::{mix, unit};

/// A caption in the making.
struct Draft {
    image: usize,
    /// Its number among the captions of its image.
    number: usize,
    path: Path,
    log_prob: f64,
}

pub(super) fn search(
    mut models: Ensemble,
    options: &SearchOptions,
    sampling: &Sampling,
) -> Vec<Vec<Hypothesis>> {
    let images = models.images();
    let draft = |image| {
        move |number| Draft {
            image,
            number,
            path: Path::default(),
            log_prob: 0.0,
        }
    };
    let mut drafts: Vec<Draft> = (0..images)
        .flat_map(|image| (0..sampling.count.max(1)).map(draft(image)))
        .collect();
    models.select(&drafts.iter().map(|draft| draft.image).collect::<Vec<_>>());
    let mut tokens = vec![options.start; drafts.len()];
    let mut found: Vec<Vec<Ended>> = (0..images).map(|_| Vec::new()).collect();
    let mut attention = Vec::new();
    let mut mask = Vec::new();
    for length in 0..=options.max_length {
        if drafts.is_empty() {
            break;
        }
        let (log_probs, alpha) = models.step(&tokens);
        attention.push(alpha);
        if mask.is_empty() {
            mask = never(options, log_probs.size()[1] as usize);
        }
        let allowed: Vec<Allowed> = (drafts.iter())
            .map(|draft| allowed(&draft.path, options))
            .collect();
        let shares: Vec<f64> = (drafts.iter())
            .map(|draft| unit(mix(&[sampling.seed, draft.number as u64, length as u64])))
            .collect();
        let next = match (sampling.top_k, sampling.top_p < 1.0) {
            (0, false) => drawn(&log_probs, &allowed, &mask, sampling.temperature, &shares),
            (k, _) => {
                let most = if k == 0 { mask.len() } else { k };
                let candidates = best(&log_probs, &allowed, &mask, most);
                let rows = candidates.iter().zip(&shares);
                rows.map(|(of_row, share)| draw(of_row, sampling, *share))
                    .collect()
            }
        };
        let (mut going, mut rows) = (Vec::new(), Vec::new());
        tokens.clear();
        for (row, (draft, next)) in drafts.into_iter().zip(next).enumerate() {
            let of_image = &mut found[draft.image];
            match next {
                Some((log_prob, token)) if token == options.end => {
                    let sum = draft.log_prob + log_prob;
                    of_image.push(Ended::new(draft.path, sum, true, options));
                }
                Some((log_prob, token)) if length < options.max_length => {
                    going.push(Draft {
                        path: draft.path.and(token, log_prob, row),
                        log_prob: draft.log_prob + log_prob,
                        ..draft
                    });
                    rows.push(row);
                    tokens.push(token);
                }
                _ => of_image.push(Ended::new(draft.path, draft.log_prob, false, options)),
            }
        }
        drafts = going;
        models.select(&rows);
    }
    ranked(found, &attention, options.keep)
}

/// Draws one of the candidates by a number between 0 and 1.
fn draw(candidates: &[Candidate], sampling: &Sampling, uniform: f64) -> Option<Candidate> {
    let weights = nucleus(candidates, sampling);
    let mut rest = uniform * weights.iter().sum::<f64>();
    let place = weights.iter().position(|weight| {
        rest -= weight;
        rest < 0.0
    });
    let last = weights.len().saturating_sub(1);
    candidates.get(place.unwrap_or(last)).copied()
}

/// The weights of the first candidates, those that are drawn from: at this temperature, the
/// fewest that together have `top_p`. If that leaves some out, the best come first.
fn nucleus(candidates: &[Candidate], sampling: &Sampling) -> Vec<f64> {
    let log_probs = candidates.iter().map(|(log_prob, _)| *log_prob);
    let best = log_probs.clone().fold(f64::NEG_INFINITY, f64::max);
    let weight = |log_prob| f64::exp((log_prob - best) / sampling.temperature);
    let mut weights: Vec<f64> = log_probs.map(weight).collect();
    let limit = sampling.top_p * weights.iter().sum::<f64>();
    let mut before = 0.0;
    let kept = weights.iter().take_while(|weight| {
        let is_kept = before < limit;
        before += **weight;
        is_kept
    });
    let kept = kept.count().max(1);
    weights.truncate(kept);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::of_hugging_face;
    use tch::{Kind, Tensor};

    #[test]
    fn words_are_drawn_with_hugging_face_s_probabilities() {
        let expected = of_hugging_face();
        let log_probs = &expected["log_probs"];
        let [rows, vocabulary] = [0, 1].map(|n| log_probs.size()[n] as usize);
        for top_p in [0.3, 0.6, 0.95] {
            for (name, top_k) in [("top_p", 0), ("top_k_p", 9)] {
                let sampling = Sampling {
                    count: 1,
                    temperature: 0.8,
                    top_k,
                    top_p,
                    seed: 0,
                };
                let most = if top_k == 0 { vocabulary } else { top_k };
                let mask = vec![false; vocabulary];
                let found = best(log_probs, &vec![Allowed::default(); rows], &mask, most);
                let mut ours = vec![0.0; rows * vocabulary];
                for (row, candidates) in found.iter().enumerate() {
                    let weights = nucleus(candidates, &sampling);
                    let total: f64 = weights.iter().sum();
                    for ((_, token), weight) in candidates.iter().zip(&weights) {
                        ours[row * vocabulary + *token as usize] = weight / total;
                    }
                }
                let theirs = &expected[&format!("{name}{top_p}")];
                let off = Tensor::from_slice(&ours).view_as(theirs) - theirs;
                let off = off.abs().max().to_kind(Kind::Double).double_value(&[]);
                assert!(off < 1e-5, "{name}{top_p}: {off}");
            }
        }
    }
}
