//! The parameters of an evaluation.

use attend_describe::Search;
use attend_metrics::Metric;
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};

/// The sections of the config that the evaluator reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How captions are searched for.
    pub search: Search,
    /// What is evaluated.
    pub evaluate: Evaluate,
}

/// `[evaluate]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluate {
    /// The split whose images are described.
    pub split: String,
    /// `best`, `last` or an epoch that is kept (`epoch-00007`).
    pub checkpoint: String,
    /// More models, which describe the images together with the first: artifacts or
    /// checkpoints' folders. Each word's probability is the mean of theirs.
    pub ensemble: Vec<String>,
    /// The scores; METEOR is left out, with a warning, where its data is absent and
    /// other scores are asked for.
    pub metrics: Vec<Metric>,
    /// The beam size of `results.json` and of the grounding.
    pub primary_beam: u32,
    /// Images at a time.
    pub batch: usize,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
}

impl Default for Evaluate {
    fn default() -> Self {
        Evaluate {
            split: "test".into(),
            checkpoint: "best".into(),
            ensemble: Vec::new(),
            metrics: Metric::ALL.to_vec(),
            primary_beam: 3,
            batch: 32,
            device: "cpu".into(),
        }
    }
}

impl Config {
    /// Refuses values that can't be meant.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key.
    pub fn check(&self) -> Result<()> {
        let Config { search, evaluate } = self;
        let wrong = |key: &str, why: &str| Err(Error::usage(format!("{key}: {why}")));
        search.check()?;
        if !search.beams.contains(&evaluate.primary_beam) {
            return wrong(
                "evaluate.primary_beam",
                &format!(
                    "{} is not in search.beams {:?}",
                    evaluate.primary_beam, search.beams
                ),
            );
        }
        let name = evaluate.checkpoint.as_str();
        if !["best", "last"].contains(&name) && !name.starts_with("epoch-") {
            let why =
                "must be \"best\", \"last\" or an epoch that is kept, such as \"epoch-00007\"";
            return wrong("evaluate.checkpoint", why);
        }
        if evaluate.batch == 0 {
            return wrong("evaluate.batch", "must be at least 1");
        }
        Ok(())
    }
}
