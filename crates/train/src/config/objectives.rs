//! What a training makes likelier: human captions, or its own by reward; with soft or hard
//! attention.

use super::Config;
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};

/// What the training makes likelier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The human captions.
    CrossEntropy,
    /// Captions of the model's own that score high against the human ones (`[reward]`).
    Reward,
}

/// What a caption's reward is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean reward of the image's other captions (Luo 2020).
    Others,
    /// The reward of the image's greedy caption (Rennie et al. 2017).
    Greedy,
}

/// `[reward]`, for `train.objective = "reward"`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct RewardSection {
    /// Captions that are drawn of each image of a step; `train.batch` is the number of all.
    pub samples: usize,
    /// What a caption's reward is compared with: `others` or `greedy`.
    pub baseline: Baseline,
    /// Whether what a caption earns above the baseline is counted in standard deviations of its
    /// image's rewards (Shao et al. 2024), so that images whose rewards are large do not rule.
    pub standardise: bool,
    /// Weight of CIDEr-D, with document frequencies of the train split. A finished caption
    /// ends with a word of its own.
    pub cider: f64,
    /// Weight of BLEU-4 of the caption.
    pub bleu4: f64,
    /// Weight of METEOR; needs its data (`cargo xtask setup --meteor`).
    pub meteor: f64,
}

/// What the decoder sees of an image at a step of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// The mean of the cells, weighed by the attention.
    Soft,
    /// One cell, drawn by the attention (Xu et al. 2015, section 4.1).
    Hard,
}

/// `[hard_attention]`, for `train.attention = "hard"`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct HardSection {
    /// Share of the steps in which cells are drawn; in the others attention is soft.
    pub share: f64,
    /// Weight of what the drawn cells have earned: the caption's log-probability above its
    /// moving mean.
    pub reward: f64,
    /// Weight of the attention's entropy.
    pub entropy: f64,
}

impl Default for HardSection {
    fn default() -> Self {
        HardSection {
            share: 0.5,
            reward: 1.0,
            entropy: 0.002,
        }
    }
}

impl Default for RewardSection {
    fn default() -> Self {
        RewardSection {
            samples: 5,
            baseline: Baseline::Others,
            standardise: false,
            cider: 1.0,
            bleu4: 0.0,
            meteor: 0.0,
        }
    }
}

impl Config {
    pub(super) fn check_reward(&self) -> Result<()> {
        let (train, reward) = (&self.train, &self.reward);
        let samples = reward.samples;
        let rules = [
            (
                samples > train.batch,
                format!("reward.samples = {samples} is more than train.batch = {} captions", train.batch),
            ),
            (
                samples < 2 && reward.baseline == Baseline::Others,
                "reward.samples = 1 leaves no others to compare with: set reward.baseline = \"greedy\", or draw more".to_owned(),
            ),
            (
                reward.cider + reward.bleu4 + reward.meteor == 0.0,
                "reward.cider, reward.bleu4 and reward.meteor are all 0: no caption would earn anything".to_owned(),
            ),
            (
                train.attention == Attention::Hard,
                "train.attention = \"hard\": training by reward reads captions with soft attention".to_owned(),
            ),
            (
                train.sampling > 0.0,
                "train.sampling: with train.objective = \"reward\", all captions are the model's own".to_owned(),
            ),
        ];
        match rules.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, why)) => Err(Error::usage(why)),
            None => Ok(()),
        }
    }
}
