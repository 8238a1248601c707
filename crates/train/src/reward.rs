//! Training by reward (self-critical sequence training: Rennie et al. 2017, Luo 2020): the
//! model draws captions of each image, and learns to prefer those that score higher than its
//! others.

use crate::config::{Baseline, Config, RewardSection};
use crate::data::{Data, padded};
use attend_artifact::vocabulary::Vocabulary;
use attend_metrics::meteor::Data as MeteorData;
use attend_metrics::{Corpus, Metric, Rewards, Scorer};
use attend_model::{Decoder, Images, Reward, Sampling, SearchOptions, search};
use std::cmp::Reverse;
use std::collections::HashMap;
use tch::Tensor;

/// Ends a finished caption as a word of its own, so that how it ends counts: without it, a
/// model learns to stop in the middle of a phrase.
const END: &str = "<end>";

/// Gives captions of the train split their rewards.
pub struct Critic {
    section: RewardSection,
    cider: Rewards,
    /// For the other scores: the scorer, and the references of each image.
    others: Option<(Scorer, Vec<Vec<Vec<String>>>)>,
    /// The place of an image, by its index in the data set.
    place: HashMap<usize, usize>,
    words: Vec<String>,
    options: SearchOptions,
}

/// Captions that a model has drawn, by descending length, and what they earn.
pub struct Rollouts {
    /// Which of the images each describes, (B).
    pub image: Vec<i64>,
    /// `<start>` … `<end>`, padded: i64 (B, L).
    pub tokens: Tensor,
    /// Number of tokens of each.
    pub lengths: Vec<i64>,
    /// The objective that weighs them.
    pub objective: Reward,
    /// Means for the metrics: `reward`, `baseline`, `words`.
    pub values: Vec<(&'static str, f64)>,
}

/// A drawn caption.
pub struct Drawn {
    /// Which of the batch's images.
    image: usize,
    tokens: Vec<i64>,
    finished: bool,
}

impl Critic {
    /// Prepares the human captions of the train split, over which document frequencies are
    /// counted. `meteor` is METEOR's data, if the section wants it.
    pub fn new(
        config: &Config,
        data: &Data,
        words: &Vocabulary,
        meteor: Option<MeteorData>,
    ) -> Critic {
        let section = config.reward.clone();
        let (images, captions) = data.train_references();
        let read = |caption: &String| words.tokenizer.for_scores(caption).into_owned();
        let references: Vec<Vec<String>> = (captions.iter())
            .map(|of_image| of_image.iter().map(read).collect())
            .collect();
        let corpus = Corpus::of_captions(&vec![""; references.len()], &references);
        let (_, references) = corpus.captions();
        let with_end: Vec<Vec<Vec<&str>>> = (references.iter())
            .map(|of_image| of_image.iter().map(|caption| ended(caption)).collect())
            .collect();
        let own =
            |of_image: &Vec<Vec<&str>>| of_image.iter().map(|caption| owned(caption)).collect();
        let others = (section.bleu4 > 0.0 || section.meteor > 0.0).then(|| {
            let scorer = Scorer {
                meteor,
                ..Scorer::default()
            };
            (scorer, references.iter().map(own).collect())
        });
        Critic {
            cider: Rewards::new(&with_end, None),
            others,
            place: images.into_iter().zip(0..).collect(),
            words: (0..words.len() as i64)
                .map(|id| words.word(id).unwrap_or_default().to_owned())
                .collect(),
            options: SearchOptions {
                max_length: config.train.max_length,
                never: vec![words.unk()],
                ..SearchOptions::new(1, [words.start(), words.end(), words.pad()])
            },
            section,
        }
    }

    /// The images of the train split, by index in the data set.
    pub fn images(&self) -> Vec<usize> {
        let mut images: Vec<usize> = self.place.keys().copied().collect();
        images.sort_unstable();
        images
    }

    /// Number of captions that are drawn of each image.
    pub fn samples(&self) -> usize {
        self.section.samples
    }

    /// Draws captions of images, whose indices in the data set are `of`, and weighs them.
    pub fn rollouts(
        &self,
        decoder: &dyn Decoder,
        images: &Images,
        of: &[usize],
        seed: u64,
    ) -> Rollouts {
        let samples = self.section.samples;
        let mut drawn = self.draw(decoder, images, seed);
        let rewards = self.rewards(&drawn, of);
        let baselines: Vec<f64> = match self.section.baseline {
            Baseline::Greedy => {
                let greedy = self.rewards(&self.captions(decoder, images, None), of);
                drawn.iter().map(|caption| greedy[caption.image]).collect()
            }
            Baseline::Others => (rewards.chunks(samples))
                .flat_map(|of_image| {
                    let sum: f64 = of_image.iter().sum();
                    (of_image.iter()).map(move |own| (sum - own) / (samples - 1) as f64)
                })
                .collect(),
        };
        let weighed = rewards.iter().zip(&baselines);
        let mut weights: Vec<f64> = weighed.map(|(own, base)| own - base).collect();
        if self.section.standardise {
            let of_images = weights.chunks_mut(samples).zip(rewards.chunks(samples));
            of_images.for_each(|(weights, rewards)| standardise(weights, rewards));
        }
        let mut order: Vec<(usize, f64)> = (0..).zip(weights).collect();
        let lengths: Vec<f64> = drawn
            .iter()
            .map(|caption| caption.tokens.len() as f64)
            .collect();
        let values = vec![
            ("reward", mean(&rewards)),
            ("baseline", mean(&baselines)),
            ("tokens", mean(&lengths)),
        ];
        for caption in &mut drawn {
            caption.tokens.insert(0, self.options.start);
            caption
                .tokens
                .extend(caption.finished.then_some(self.options.end));
        }
        order.sort_by_key(|(at, _)| Reverse(drawn[*at].tokens.len()));
        let captions: Vec<&[i64]> = (order.iter())
            .map(|(at, _)| drawn[*at].tokens.as_slice())
            .collect();
        let (tokens, lengths) = padded(&captions);
        let image = order.iter().map(|(at, _)| drawn[*at].image as i64);
        Rollouts {
            image: image.collect(),
            tokens,
            lengths,
            objective: Reward {
                weights: order.iter().map(|(_, weight)| *weight).collect(),
                never: [
                    &self.options.never[..],
                    &[self.options.start, self.options.pad],
                ]
                .concat(),
            },
            values,
        }
    }

    /// Draws captions of each image, those of an image one after the other.
    pub fn draw(&self, decoder: &dyn Decoder, images: &Images, seed: u64) -> Vec<Drawn> {
        let sampling = Sampling {
            count: self.section.samples,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed,
        };
        self.captions(decoder, images, Some(sampling))
    }

    /// Captions of each image, those of an image one after the other: samples, or the greedy
    /// one.
    fn captions(
        &self,
        decoder: &dyn Decoder,
        images: &Images,
        sampling: Option<Sampling>,
    ) -> Vec<Drawn> {
        let options = SearchOptions {
            sampling,
            ..self.options.clone()
        };
        let found = search(&[(decoder, images)], &options);
        let found = found.into_iter().enumerate().flat_map(|(image, found)| {
            found.into_iter().map(move |hypothesis| Drawn {
                image,
                // Whether one that long would have ended was not asked.
                finished: hypothesis.finished && hypothesis.tokens.len() < options.max_length,
                tokens: hypothesis.tokens,
            })
        });
        found.collect()
    }

    /// What captions earn; `of` has the index of each image in the data set.
    pub fn rewards(&self, captions: &[Drawn], of: &[usize]) -> Vec<f64> {
        let place = |caption: &Drawn| self.place[&of[caption.image]];
        let words = |caption: &Drawn| -> Vec<String> {
            attend_describe::words(caption.tokens.iter().map(|id| &*self.words[*id as usize]))
        };
        let mut texts: Vec<(usize, Vec<String>)> = (captions.iter())
            .map(|caption| (place(caption), words(caption)))
            .collect();
        let mut rewards = vec![0.0; captions.len()];
        let mut add = |weight: f64, scores: &[f64]| {
            let sums = rewards.iter_mut().zip(scores);
            sums.for_each(|(sum, score)| *sum += weight * score);
        };
        if let Some((scorer, references)) = &self.others {
            let (hypotheses, references): (Vec<_>, Vec<_>) = (texts.iter())
                .map(|(place, words)| (words.clone(), references[*place].clone()))
                .unzip();
            let corpus = Corpus::of_words(&hypotheses, &references);
            let metrics = [
                (Metric::Bleu, "bleu4", self.section.bleu4),
                (Metric::Meteor, "meteor", self.section.meteor),
            ];
            for (metric, key, weight) in metrics.into_iter().filter(|(.., weight)| *weight > 0.0) {
                let scores = scorer.score(&[metric], &corpus);
                let score = scores.iter().find(|score| score.key == key);
                add(weight, score.map_or(&[], |score| &score.per_image));
            }
        }
        for ((_, words), caption) in texts.iter_mut().zip(captions) {
            words.extend(caption.finished.then(|| END.to_owned()));
        }
        add(self.section.cider, &self.cider.scores(&texts));
        rewards
    }
}

/// Divides an image's weights by the standard deviation of its rewards; without any deviation,
/// the weights become 0.
fn standardise(weights: &mut [f64], rewards: &[f64]) {
    let mean = mean(rewards);
    let squares: Vec<f64> = rewards.iter().map(|own| (own - mean).powi(2)).collect();
    let deviation = self::mean(&squares).sqrt();
    let scale = if deviation > 1e-9 {
        1.0 / deviation
    } else {
        0.0
    };
    weights.iter_mut().for_each(|weight| *weight *= scale);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The words of a caption, and its end as one more.
fn ended<'a>(caption: &[&'a str]) -> Vec<&'a str> {
    caption.iter().copied().chain([END]).collect()
}

fn owned(caption: &[&str]) -> Vec<String> {
    caption.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_count_alike_however_large_their_rewards() {
        let of = |rewards: [f64; 4]| {
            let mean = mean(&rewards);
            let mut weights = rewards.map(|own| own - mean);
            standardise(&mut weights, &rewards);
            weights
        };
        let root = 1.25f64.sqrt();
        let expected = [-1.5, -0.5, 0.5, 1.5].map(|off| off / root);
        for rewards in [[0.0, 1.0, 2.0, 3.0], [10.0, 30.0, 50.0, 70.0]] {
            for (own, expected) in of(rewards).iter().zip(expected) {
                assert!((own - expected).abs() < 1e-12, "{own} {expected}");
            }
        }
        assert_eq!(of([0.3; 4]), [0.0; 4]);
    }
}
