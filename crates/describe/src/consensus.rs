//! The caption that agrees most with the other candidates (minimum Bayes risk: the candidates
//! stand for what people might say, and the one with the highest expected score is taken).

use crate::description::Description;
use attend_metrics::{Rewards, bleu};
use serde::{Deserialize, Serialize};

/// The score by which captions agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consensus {
    /// None: the best caption is taken.
    #[default]
    None,
    /// CIDEr-D; an n-gram weighs the less, the more of the image's candidates have it.
    CiderD,
    /// BLEU-4.
    Bleu4,
}

/// The candidates of an image, best first as given, by their agreement: finished ones first;
/// a candidate's score is its mean score against each other one as the reference. A caption
/// that was found twice counts twice.
pub(crate) fn by_agreement(
    consensus: Consensus,
    mut candidates: Vec<Description>,
) -> Vec<Description> {
    if consensus == Consensus::None || candidates.len() < 2 {
        return candidates;
    }
    let scores = agreements(consensus, &candidates);
    for (candidate, score) in candidates.iter_mut().zip(scores) {
        candidate.score = score;
    }
    candidates.sort_by(|a, b| {
        let finished = b.finished.cmp(&a.finished);
        finished.then(b.score.total_cmp(&a.score))
    });
    candidates
}

fn agreements(consensus: Consensus, candidates: &[Description]) -> Vec<f64> {
    let count = candidates.len();
    let pairs: Vec<(usize, usize)> = (0..count)
        .flat_map(|one| (0..count).map(move |other| (one, other)))
        .filter(|(one, other)| one != other)
        .collect();
    let references: Vec<Vec<Vec<&str>>> = (candidates.iter())
        .map(|other| vec![other.words.iter().map(String::as_str).collect()])
        .collect();
    let hypotheses: Vec<Vec<&str>> = (pairs.iter())
        .map(|(one, _)| references[*one][0].clone())
        .collect();
    let scores: Vec<f64> = if consensus == Consensus::Bleu4 {
        let others = pairs.iter().map(|(_, other)| references[*other].clone());
        let scores = bleu(&hypotheses, &others.collect::<Vec<_>>());
        scores.per_image.iter().map(|[.., bleu4]| *bleu4).collect()
    } else {
        let rewards = Rewards::new(&references, None);
        let pairs = pairs.iter().zip(&hypotheses);
        pairs
            .map(|((_, other), words)| rewards.score(*other, words))
            .collect()
    };
    let means = scores.chunks(count - 1);
    means
        .map(|scores| scores.iter().sum::<f64>() / scores.len() as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(caption: &str, finished: bool) -> Description {
        Description {
            words: caption.split(' ').map(str::to_owned).collect(),
            word_log_probs: Vec::new(),
            log_prob: -1.0,
            score: -1.0,
            finished,
            alphas: Vec::new(),
            grid: [1, 1],
        }
    }

    #[test]
    fn the_caption_in_the_middle_is_taken() {
        let captions = [
            "two red buses at night",
            "a man rides a horse on a beach",
            "a man rides a brown horse on the beach",
            "a man rides a brown horse on a beach",
            "a person on a horse near the sea",
        ];
        let candidates = || {
            captions
                .iter()
                .map(|caption| candidate(caption, true))
                .collect()
        };
        for consensus in [Consensus::CiderD, Consensus::Bleu4] {
            let ranked = by_agreement(consensus, candidates());
            assert_eq!(ranked[0].caption(), captions[3], "{consensus:?}");
            assert_eq!(ranked[4].caption(), captions[0]);
            assert!(ranked.is_sorted_by(|a, b| a.score >= b.score));
        }
        assert_eq!(by_agreement(Consensus::None, candidates()), candidates());
    }

    #[test]
    fn captions_that_did_not_end_come_last() {
        let candidates = vec![
            candidate("a red bus", true),
            candidate("a man on a horse", false),
            candidate("a man on a horse", false),
        ];
        let ranked = by_agreement(Consensus::CiderD, candidates.clone());
        assert_eq!(ranked[0].caption(), "a red bus");
        let one = by_agreement(Consensus::Bleu4, candidates[..1].to_vec());
        assert_eq!(one, candidates[..1]);
    }
}
