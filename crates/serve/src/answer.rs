//! Captions as JSON.

use crate::problem::Problem;
use attend_describe::Description;
use serde_json::{Value, json};

/// The best caption of a picture, with the others as `alternatives`. `attention`: where the
/// model looked at each word.
pub fn captions(captions: &[Description], attention: bool) -> Value {
    let mut all = captions.iter().map(|one| caption(one, attention));
    let mut best = all.next().unwrap_or_default();
    let others: Vec<Value> = all.collect();
    if let Some(best) = best.as_object_mut() {
        best.insert("alternatives".into(), others.into());
        if let (true, Some(one)) = (attention, captions.first()) {
            best.insert("grid".into(), json!(one.grid));
        }
    }
    best
}

fn caption(caption: &Description, attention: bool) -> Value {
    let word = |(i, word): (usize, &String)| {
        let mut object = json!({ "word": word, "probability": probability(caption, i) });
        if let (true, Some(object), Some(alphas)) =
            (attention, object.as_object_mut(), caption.alphas.get(i))
        {
            object.insert("attention".into(), json!(alphas));
        }
        object
    };
    let words: Vec<Value> = caption.words.iter().enumerate().map(word).collect();
    json!({
        "caption": caption.caption(),
        "log_prob": caption.log_prob,
        "finished": caption.finished,
        "words": words,
    })
}

fn probability(caption: &Description, _word: usize) -> f64 {
    (caption.log_prob / (caption.words.len() + 1) as f64).exp()
}

/// What is said of a picture among several that could not be described.
pub fn problem(problem: &Problem) -> Value {
    json!({ "error": problem.error, "status": problem.status.as_u16() })
}
