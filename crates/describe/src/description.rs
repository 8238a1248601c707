//! A caption with what the model thought of it.

use serde_json::{Map, Value, json};

/// A caption of one image, with its attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The caption's words, in order.
    pub words: Vec<String>,
    /// The log-probability of each word.
    pub word_log_probs: Vec<f64>,
    /// Log-probability of the caption, including `<end>` if it is finished.
    pub log_prob: f64,
    /// By which the captions of an image are ranked: the log-probability, normalised by the
    /// length, or the agreement with the others.
    pub score: f64,
    /// Whether the model ended it with `<end>`, before the limit of words.
    pub finished: bool,
    /// For each word, its attention over the grid's cells, row by row.
    pub alphas: Vec<Vec<f32>>,
    /// Height and width of the grid, in cells.
    pub grid: [usize; 2],
}

impl Description {
    /// The caption as text.
    pub fn caption(&self) -> String {
        self.words.join(" ")
    }

    /// A JSON object of the caption and what the model thought of it; with `alphas` also each
    /// word's attention, to six decimals.
    pub fn json(&self, alphas: bool) -> Map<String, Value> {
        let rounded = |share: &f32| (f64::from(*share) * 1e6).round() / 1e6;
        let of_word = |cells: &Vec<f32>| cells.iter().map(rounded).collect::<Value>();
        let fields = [
            ("caption", self.caption().into()),
            ("words", json!(self.words)),
            ("word_log_probs", json!(self.word_log_probs)),
            ("log_prob", json!(self.log_prob)),
            ("score", json!(self.score)),
            ("finished", self.finished.into()),
            ("grid", json!(self.grid)),
        ];
        let alphas = alphas.then(|| ("alphas", self.alphas.iter().map(of_word).collect()));
        let fields = fields.into_iter().chain(alphas);
        fields.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}
