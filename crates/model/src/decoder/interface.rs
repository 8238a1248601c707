//! The interface of all decoders, and what goes in and comes out.

use super::captions::{Captions, Reading};
use super::gradients::Gradients;
use super::grid::Resampling;
use super::rows::Rows;
use attend_artifact::model::DecoderConfig;
use tch::{Device, Kind, Tensor};

/// The interface of all decoders.
pub trait Decoder: Send {
    /// Prepares images: `cells` (n, p, C) of the encoder's `native` grid [h, w]. If they
    /// are of another kind than the weights, such as bf16, [`Decoder::read`] computes its
    /// matrix products in that kind (mixed precision); [`Decoder::step`] only accepts the
    /// weights' kind.
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images;

    /// Like [`Decoder::project`], but only for [`Decoder::read`]: leaves out what that
    /// computes itself.
    fn prepare(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        self.project(cells, native)
    }

    /// The state before the first word, one row per image.
    fn begin(&self, images: &Images) -> Rows;

    /// One step of B hypotheses from their previous `tokens` (B). `image` (B) says which of
    /// the n images each belongs to; it ascends, and an image may have any number of rows.
    fn step(&self, images: &Images, image: &[i64], tokens: &[i64], state: &Rows) -> Step;

    /// Runs over captions of these images, all steps at once (teacher forcing). Nothing
    /// is recorded for autograd.
    fn read<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Box<dyn Pass + 'a>;

    /// The parameters by name, in the order of their gradients in memory.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// The name of the table of the words' embeddings.
    fn embedding(&self) -> &'static str;

    /// The names of the parameters that have a row for each token: what depends on the words.
    fn word_parameters(&self) -> &'static [&'static str];
}

/// Everything about n images that a decoder needs and that does not depend on captions.
pub struct Images {
    /// The decoder's own tensors, n rows each; the first has the cells that attention sums.
    pub rows: Rows,
    /// How the attention grid is made from the encoder's.
    pub resampling: Resampling,
    /// The attention grid, [height, width]; P is their product.
    pub grid: [i64; 2],
}

impl Images {
    /// Images of which the kept cells are all that is known. `kind` is that of the weights.
    pub(super) fn of_cells(
        cells: &Tensor,
        native: [i64; 2],
        config: &DecoderConfig,
        kind: Kind,
    ) -> Images {
        let (grid, resampling) = Resampling::new(native, config.grid, (kind, cells.device()));
        Images {
            rows: Rows::new(vec![tch::no_grad(|| resampling.keep(cells))]),
            resampling,
            grid,
        }
    }

    /// Number of images, n.
    pub fn len(&self) -> i64 {
        self.rows.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device of the tensors.
    pub fn device(&self) -> Device {
        self.rows.device()
    }

    /// The kind that matrix products are computed in; sums, softmax and states have the
    /// weights' kind.
    pub fn kind(&self) -> Kind {
        self.rows.tensors()[0].kind()
    }

    /// Some of the images, in the order of `index` (i64).
    pub fn select(&self, index: &Tensor) -> Images {
        self.with(self.rows.select(index))
    }

    /// The first `count` images, without a copy.
    pub fn first(&self, count: i64) -> Images {
        self.with(self.rows.first(count))
    }

    fn with(&self, rows: Rows) -> Images {
        Images {
            rows,
            resampling: self.resampling.shallow_clone(),
            grid: self.grid,
        }
    }
}

/// The result of one step.
pub struct Step {
    /// Scores of the next token, (B, V).
    pub logits: Tensor,
    /// The state after the step.
    pub state: Rows,
    /// Attention over the cells, (B, P).
    pub attention: Tensor,
}

/// A decoder's output for known captions.
///
/// The N rows of all steps are concatenated: first all captions' first tokens, then all
/// second ones, and so on. Captions are sorted by descending length.
pub struct Output {
    /// Scores of the next token, (N, V).
    pub logits: Tensor,
    /// The right tokens, i64 (N).
    pub targets: Tensor,
    /// Attention over the cells, (N, P).
    pub attention: Tensor,
    /// With hard attention, the cell that each row saw: i64 (N).
    pub drawn: Option<Tensor>,
    /// For each step t, the number b of captions that have a token t + 1.
    pub counts: Vec<i64>,
}

impl Output {
    /// Number of captions, B.
    pub fn captions(&self) -> i64 {
        self.counts.first().copied().unwrap_or(0)
    }

    /// The caption of each row, (N).
    pub fn caption_of_row(&self) -> Vec<i64> {
        self.counts.iter().flat_map(|b| 0..*b).collect()
    }
}

/// The gradients of an [`Output`].
pub struct OutputGradients {
    /// Of the logits, (N, V).
    pub logits: Tensor,
    /// Of the attention, (N, P).
    pub attention: Tensor,
}

/// A forward pass over captions, ready for the backward pass.
pub trait Pass {
    /// The decoder's output.
    fn output(&self) -> &Output;

    /// Adds the gradient of every parameter to `into`. If `of_cells`, returns the gradient
    /// of the cells that were passed to [`Decoder::project`] or [`Decoder::prepare`], (n, p, C).
    fn backward(
        self: Box<Self>,
        gradients: OutputGradients,
        into: &mut Gradients,
        of_cells: bool,
    ) -> Option<Tensor>;
}
