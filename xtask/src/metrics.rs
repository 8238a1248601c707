//! A model's `metrics.jsonl`: its validation scores, epoch by epoch.

use attend_program::{At, Result};
use serde_json::Value;
use std::path::Path;

/// The validation of an epoch.
pub struct Validation {
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// The split that was described.
    pub split: String,
    scores: Value,
}

impl Validation {
    /// A score by its name.
    pub fn score(&self, metric: &str) -> Option<f64> {
        self.scores.get(metric)?.as_f64()
    }
}

/// The first epoch with the highest `metric`; `None` if no line has that metric.
pub fn best(model: &Path, metric: &str) -> Result<Option<Validation>> {
    let path = model.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).at(&path)?;
    let lines = text.lines().filter_map(|line| {
        let scores: Value = serde_json::from_str(line).ok()?;
        Some(Validation {
            epoch: scores["epoch"].as_u64()? + 1,
            split: scores["split"].as_str()?.to_owned(),
            scores,
        })
    });
    let validated = lines.filter(|line| line.score(metric).is_some());
    Ok(validated.reduce(|best, line| {
        let higher = line.score(metric) > best.score(metric);
        if higher { line } else { best }
    }))
}
