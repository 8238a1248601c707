//! Parameters of a search.

use serde::{Deserialize, Serialize};

/// Parameters of a search. [`SearchOptions::new`] has those of the tutorial's.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Number of hypotheses that are kept at each step; 1 is greedy search.
    pub beam: usize,
    /// Into how many groups the beam is divided (Vijayakumar et al. 2016), the first ones
    /// larger if it can't be even.
    pub groups: usize,
    /// What a token's log-probability loses for each hypothesis of an earlier group that has
    /// just taken the same token. It shapes the choice, not [`crate::Hypothesis::log_prob`].
    pub diversity: f64,
    /// Draws captions instead of searching for the best ones.
    pub sampling: Option<Sampling>,
    /// Number of hypotheses of each image that are wanted.
    pub keep: usize,
    /// How hypotheses of different lengths are compared.
    pub length_norm: LengthNorm,
    /// Minimum length of a caption, in tokens without `<start>` and `<end>`.
    pub min_length: usize,
    /// Maximum length, likewise.
    pub max_length: usize,
    /// Tokens with which every caption begins. Their log-probabilities count.
    pub prefix: Vec<i64>,
    /// If not 0: no n-gram of this order occurs twice in a caption.
    pub no_repeat_ngram: usize,
    /// Tokens that are never produced, besides `<start>` and `<pad>`.
    pub never: Vec<i64>,
    /// Id of `<start>`.
    pub start: i64,
    /// Id of `<end>`.
    pub end: i64,
    /// Id of `<pad>`.
    pub pad: i64,
}

/// Draws captions from the model's distribution.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Number of captions of each image.
    pub count: usize,
    /// The logits are divided by this; near 0, sampling is greedy.
    pub temperature: f64,
    /// Draws from this many most probable tokens; 0: from all.
    pub top_k: usize,
    /// Draws from the fewest most probable tokens that together have this probability.
    pub top_p: f64,
    /// Each caption is a function of its image, this, and its number.
    pub seed: u64,
}

/// How hypotheses of different lengths are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LengthNorm {
    /// By the sum of log-probabilities, as in the tutorial.
    #[default]
    None,
    /// By the mean log-probability of the tokens, `<end>` among them.
    Average,
    /// By the sum divided by `((5 + tokens) / 6)^0.6`, `<end>` among them (Wu et al. 2016).
    Gnmt,
}

/// The exponent of [`LengthNorm::Gnmt`], in the middle of the range that its authors found
/// best.
const ALPHA: f64 = 0.6;

impl SearchOptions {
    /// The tutorial's search with this beam, for a vocabulary with these special tokens.
    pub fn new(beam: usize, [start, end, pad]: [i64; 3]) -> SearchOptions {
        SearchOptions {
            beam,
            groups: 1,
            diversity: 0.0,
            sampling: None,
            keep: usize::MAX,
            length_norm: LengthNorm::None,
            min_length: 0,
            max_length: 50,
            prefix: Vec::new(),
            no_repeat_ngram: 0,
            never: Vec::new(),
            start,
            end,
            pad,
        }
    }
}

impl LengthNorm {
    /// The score of a hypothesis with this many tokens, `<end>` among them.
    pub fn score(self, log_prob: f64, tokens: usize) -> f64 {
        let tokens = tokens.max(1) as f64;
        match self {
            LengthNorm::None => log_prob,
            LengthNorm::Average => log_prob / tokens,
            LengthNorm::Gnmt => log_prob / ((5.0 + tokens) / 6.0).powf(ALPHA),
        }
    }
}
