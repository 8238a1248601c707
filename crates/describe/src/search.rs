//! From what decoders look at to captions.

use attend_artifact::vocabulary::Vocabulary;
use attend_model::{Decoder, Hypothesis, Images, SearchOptions, ensemble_search};
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};

/// `[search]`: how captions are searched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Search {
    /// Beam sizes, each searched with by itself; 1 is greedy search.
    pub beams: Vec<u32>,
    /// Most words of a caption.
    pub max_length: usize,
    /// Never say `<unk>`.
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

/// What is said of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The caption's words, in order.
    pub words: Vec<String>,
    /// Log-probability of the caption, that of `<end>` included where it is finished.
    pub log_prob: f64,
    /// Whether the model ended it, rather than the limit of words.
    pub finished: bool,
    /// Per word, its attention over the grid's cells, row by row.
    pub alphas: Vec<Vec<f32>>,
    /// Height and width of the grid, in cells.
    pub grid: [usize; 2],
}

impl Description {
    /// The caption.
    pub fn caption(&self) -> String {
        self.words.join(" ")
    }
}

impl Search {
    /// Refuses values that can't be meant.
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

    /// The beam sizes, ascending, each once.
    pub fn sizes(&self) -> Vec<u32> {
        let mut beams = self.beams.clone();
        beams.sort_unstable();
        beams.dedup();
        beams
    }

    /// The best caption of each image with one beam size. `models` are one or more of the
    /// same `vocabulary`, each with what its decoder looks at in the same images; each
    /// word's probability is the mean of theirs.
    ///
    /// # Panics
    /// If there is no model, or the decoders have other ids than the vocabulary.
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
            Description {
                words: best.tokens.iter().map(|id| word(vocabulary, *id)).collect(),
                log_prob: best.log_prob,
                finished: best.finished,
                alphas: best.alphas,
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
