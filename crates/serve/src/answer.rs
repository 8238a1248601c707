//! Captions as JSON, with the keys that `attend-caption --json` has.

use crate::problem::Problem;
use attend_describe::Description;
use serde_json::{Value, json};

/// The best caption of a picture, with the others as `alternatives`. `attention`: where the
/// model looked at each word, to six decimals.
pub fn captions(captions: &[Description], attention: bool) -> Value {
    let mut all = captions.iter().map(|one| caption(one, attention));
    let mut best = all.next().unwrap_or_default();
    best["alternatives"] = all.collect();
    best
}

fn caption(caption: &Description, attention: bool) -> Value {
    let mut object = json!({
        "caption": caption.caption(),
        "words": caption.words,
        "word_log_probs": caption.word_log_probs,
        "log_prob": caption.log_prob,
        "score": caption.score,
        "finished": caption.finished,
        "grid": caption.grid,
    });
    if attention {
        let rounded = |share: &f32| (f64::from(*share) * 1e6).round() / 1e6;
        let word = |cells: &Vec<f32>| cells.iter().map(rounded).collect::<Value>();
        object["attention"] = caption.alphas.iter().map(word).collect();
    }
    object
}

/// What is said of a picture among several that could not be described.
pub fn problem(problem: &Problem) -> Value {
    json!({ "error": problem.error, "status": problem.status.as_u16() })
}
