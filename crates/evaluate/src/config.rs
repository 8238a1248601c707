//! The parameters of an evaluation.

use attend_describe::Search;
use attend_metrics::Metric;
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};

/// The sections of the config that the evaluator reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The search for captions.
    pub search: Search,
    /// The evaluation.
    pub evaluate: Evaluate,
}

/// `[evaluate]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluate {
    /// Split whose images are captioned.
    pub split: String,
    /// Checkpoint of the model: `best`, `last` or an epoch that is kept (`epoch-00007`).
    pub checkpoint: String,
    /// Further models for an ensemble with the input: model artifacts or checkpoint
    /// folders. The probability of a word is the mean of the models' probabilities.
    pub ensemble: Vec<String>,
    /// Scores to compute. METEOR is skipped with a warning if its data is missing and
    /// there are other scores in the list.
    pub metrics: Vec<Metric>,
    /// Beam size of `results.json` and of the grounding; one of `search.beams`.
    pub primary_beam: u32,
    /// Images per batch.
    pub batch: usize,
    /// Program of a foreign encoder, the words as in a shell: needed for such a model
    /// without features.
    pub encoder_command: String,
    /// Device to run on: `auto`, `cpu`, `cuda` or `cuda:N`.
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
            encoder_command: String::new(),
            device: "cpu".into(),
        }
    }
}

impl Config {
    /// Refuses invalid values.
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
