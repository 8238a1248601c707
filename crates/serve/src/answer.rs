//! Captions as JSON, with the keys that `attend-caption --json` has.

use crate::problem::Problem;
use attend_describe::Description;
use serde_json::{Value, json};

/// The best caption of a picture, with the others as `alternatives`. `alphas`: where the
/// model looked at each word.
pub fn captions(captions: &[Description], alphas: bool) -> Value {
    let mut all = captions.iter().map(|one| one.json(alphas));
    let mut best = all.next().unwrap_or_default();
    best.insert("alternatives".into(), all.map(Value::from).collect());
    best.into()
}

/// What is said of a picture among several that could not be described.
pub fn problem(problem: &Problem) -> Value {
    json!({ "error": problem.error, "status": problem.status.as_u16() })
}
