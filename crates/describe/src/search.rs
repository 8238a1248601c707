//! Searches captions for encoded images.

use crate::pieces::joined;
use attend_artifact::vocabulary::Vocabulary;
use attend_model::{Decoder, Hypothesis, Images, SearchOptions, ensemble_search};
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};

/// `[search]`: the search for captions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Search {
    /// Beam sizes; each is a search of its own, 1 a greedy one.
    pub beams: Vec<u32>,
    /// Maximum number of words in a caption.
    pub max_length: usize,
    /// Whether to exclude `<unk>` from captions.
    pub forbid_unk: bool,
}

impl Default for Search {
    fn default() -> Self {
        Search {
            beams: vec![1, 3, 5],
            max_length: 50,
            forbid_unk: true,
        }
    }
}

/// The caption of one image, with its attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The caption's words, in order.
    pub words: Vec<String>,
    /// Log-probability of the caption, including `<end>` if it is finished.
    pub log_prob: f64,
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

impl Search {
    /// Refuses invalid values.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &str, why: &str| Err(Error::usage(format!("search.{key}: {why}")));
        if self.beams.is_empty() || self.beams.contains(&0) {
            return wrong("beams", "give one or more sizes, each at least 1");
        }
        if self.max_length == 0 {
            return wrong("max_length", "a caption needs at least 1 word");
        }
        Ok(())
    }

    /// The beam sizes in ascending order, without duplicates.
    pub fn sizes(&self) -> Vec<u32> {
        let mut beams = self.beams.clone();
        beams.sort_unstable();
        beams.dedup();
        beams
    }

    /// The best caption of each image with one beam size. `models` are one or more decoders
    /// of the same `vocabulary`, each with its input for the same images. The probability of
    /// a word is the mean of the models' probabilities.
    ///
    /// # Panics
    /// If `models` is empty, or the ids of a decoder are not those of the vocabulary.
    pub fn describe(
        &self,
        models: &[(&dyn Decoder, &Images)],
        vocabulary: &Vocabulary,
        beam: usize,
    ) -> Vec<Description> {
        let options = SearchOptions {
            beam,
            max_length: self.max_length,
            start: vocabulary.start(),
            end: vocabulary.end(),
            pad: vocabulary.pad(),
            unk: self.forbid_unk.then(|| vocabulary.unk()),
        };
        let grid = models[0].1.grid.map(|n| n as usize);
        let best = |hypotheses: Vec<Hypothesis>| {
            #[expect(clippy::expect_used, reason = "a search always returns a caption")]
            let best = hypotheses.into_iter().next().expect("a caption");
            let tokens = best.tokens.iter().map(|id| word(vocabulary, *id));
            let (words, alphas) = joined(tokens, best.alphas);
            Description {
                words,
                log_prob: best.log_prob,
                finished: best.finished,
                alphas,
                grid,
            }
        };
        let found = ensemble_search(models, &options);
        found.into_iter().map(best).collect()
    }
}

#[expect(
    clippy::expect_used,
    reason = "the decoder has as many ids as the vocabulary"
)]
fn word(vocabulary: &Vocabulary, id: i64) -> String {
    let word = vocabulary.word(id).expect("a word of this id");
    word.to_owned()
}
