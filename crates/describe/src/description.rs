//! A caption with what the model thought of it.

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
}
