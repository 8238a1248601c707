//! Confidence intervals of scores, by the bootstrap over images (Efron 1979; for BLEU, and
//! for the difference of two systems, Koehn 2004).
//!
//! A resample draws as many images as there are, with replacement, and is scored as a corpus
//! of its own: BLEU from the summed counts of its images, METEOR from their summed
//! statistics, ROUGE-L and CIDEr-D as means. CIDEr's document frequencies stay those of the
//! evaluated images, because they are part of the measure. What an image contributes is
//! computed once ([`Tally`]); a resample only sums.
//!
//! The interval says how much a score depends on which images were evaluated. It says nothing
//! of what another seed of the training would change.
//!
//! ```
//! use attend_metrics::{Bootstrap, Corpus, Metric, Scorer};
//! let hypotheses = ["A dog runs.", "Two red buses.", "A man."];
//! let references = [vec!["A dog is running."], vec!["Two red buses at night."], vec!["A cat."]];
//! let corpus = Corpus::of_captions(&hypotheses, &references);
//! let tally = Scorer::default().tally(&[Metric::Rouge], &corpus, || ());
//! let [rouge] = &Bootstrap::default().intervals(&tally)[..] else { panic!() };
//! assert!(rouge.low < rouge.score && rouge.score < rouge.high);
//! ```

use crate::Tally;
use crate::parallel::{cores, in_parts};
use serde::Serialize;

/// How intervals are computed.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the draws. They depend on nothing else but the number of images.
    pub seed: u64,
    /// Share of the resamples inside an interval.
    pub level: f64,
}

impl Default for Bootstrap {
    /// 95 % of 1,000 resamples.
    fn default() -> Self {
        Bootstrap {
            resamples: 1000,
            seed: 1,
            level: 0.95,
        }
    }
}

/// A score with its confidence interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// One of [`crate::Metric::keys`].
    pub key: &'static str,
    /// The score of all images.
    pub score: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Half of the last digit that is printed of scores, times 100 with two decimals.
const SMALLEST: f64 = 0.5e-4;

/// The difference of two models' scores on the same images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// One of [`crate::Metric::keys`].
    pub key: &'static str,
    /// The first model's score minus the second's.
    pub difference: f64,
    /// Lower end of its confidence interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Share of the resamples in which the first model is better; equal scores count half.
    pub better: f64,
}

impl Difference {
    /// Whether the two models can be told apart by these images: the interval excludes 0, and
    /// the difference is one that can be seen. (BLEU-4 without any match is a number near 0
    /// that depends on the lengths alone.)
    pub fn is_clear(&self) -> bool {
        let excludes_0 = self.low > 0.0 || self.high < 0.0;
        excludes_0 && self.difference.abs() >= SMALLEST
    }
}

impl Bootstrap {
    /// The interval of each score (percentile method).
    pub fn intervals(&self, tally: &Tally) -> Vec<Interval> {
        let resampled = self.resampled(tally.images(), |draws| tally.of(draws));
        let scores = tally.keys().zip(tally.of_all());
        let interval = |(at, (key, score)): (usize, (&'static str, f64))| {
            let [low, high] = self.ends(resampled.iter().map(|scores| scores[at]));
            Interval {
                key,
                score,
                low,
                high,
            }
        };
        scores.enumerate().map(interval).collect()
    }

    /// The differences `a - b` of the scores that both have, with intervals: both models are
    /// scored on the same draws, so that what is hard for both cancels out.
    ///
    /// # Panics
    /// If they are not of the same number of images. It is the caller's part that they are
    /// the same ones, in the same order.
    pub fn differences(&self, a: &Tally, b: &Tally) -> Vec<Difference> {
        assert_eq!(a.images(), b.images(), "not the same images");
        let places: Vec<(&'static str, usize, usize)> = (a.keys().enumerate())
            .filter_map(|(at, key)| Some((key, at, b.keys().position(|other| other == key)?)))
            .collect();
        let subtract = |ours: &[f64], theirs: &[f64]| -> Vec<f64> {
            let pairs = places.iter();
            pairs.map(|(_, at, of)| ours[*at] - theirs[*of]).collect()
        };
        let resampled = self.resampled(a.images(), |draws| subtract(&a.of(draws), &b.of(draws)));
        let scores = subtract(&a.of_all(), &b.of_all());
        let difference = |(at, difference): (usize, f64)| {
            let values = || resampled.iter().map(|differences| differences[at]);
            let [low, high] = self.ends(values());
            let wins = values().map(|value| match value {
                0.0 => 0.5,
                value => f64::from(u8::from(value > 0.0)),
            });
            Difference {
                key: places[at].0,
                difference,
                low,
                high,
                better: wins.sum::<f64>() / self.resamples.max(1) as f64,
            }
        };
        scores.into_iter().enumerate().map(difference).collect()
    }

    /// The images that a resample of so many images draws.
    pub fn draws(&self, resample: usize, images: usize) -> Vec<usize> {
        let start = mix(self.seed ^ mix(resample as u64));
        let draw = |draw: usize| {
            let random = mix(start.wrapping_add((draw as u64).wrapping_mul(STEP)));
            ((u128::from(random) * images as u128) >> u64::BITS) as usize
        };
        (0..images).map(draw).collect()
    }

    /// The scores of all resamples, on all cores.
    fn resampled(
        &self,
        images: usize,
        scores: impl Fn(&[usize]) -> Vec<f64> + Sync,
    ) -> Vec<Vec<f64>> {
        let parts = in_parts(self.resamples, cores(), |resamples| {
            let scores = |resample| scores(&self.draws(resample, images));
            resamples.map(scores).collect::<Vec<_>>()
        });
        parts.concat()
    }

    /// The ends of the interval: percentiles, interpolated linearly as numpy does.
    fn ends(&self, values: impl Iterator<Item = f64>) -> [f64; 2] {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let outside = (1.0 - self.level) / 2.0;
        [outside, 1.0 - outside].map(|share| {
            let place = share * values.len().saturating_sub(1) as f64;
            let at = |place: f64| values.get(place as usize).copied().unwrap_or(f64::NAN);
            at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
        })
    }
}

/// The golden ratio times 2^64, by which SplitMix64 steps.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele et al. 2014): a number's hash.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
