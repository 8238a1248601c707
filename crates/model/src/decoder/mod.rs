//! Decoders: what turns the cells of an image into words.
//!
//! Each architecture is a folder here, and a line in [`new`]. Search, training and
//! objectives know the face [`Decoder`] alone: what depends on the image alone
//! ([`Images`]), a state that can be selected by rows ([`Rows`]), a step, and a [`Pass`]
//! over given captions that goes back from the gradients of its [`Output`].
//!
//! Shapes: n images, p native cells, P attention cells, C channels, B captions, T steps,
//! V vocabulary, N real tokens.

pub mod attention_lstm;
mod captions;
mod gradients;
mod grid;
mod rows;

pub use captions::{Captions, Reading};
pub use gradients::Gradients;
pub use grid::Resampling;
pub use rows::Rows;

use attend_artifact::model::DecoderConfig;
use tch::{Device, Kind, Tensor, nn};

/// A decoder with fresh weights, drawn as PyTorch and the reference implementation draw
/// them.
pub fn new(p: &nn::Path, config: &DecoderConfig) -> Box<dyn Decoder> {
    Box::new(attention_lstm::AttentionLstm::new(p, config))
}

/// What every decoder can do.
pub trait Decoder: Send {
    /// Prepares images: `cells` (n, p, C) of the encoder's `native` grid [h, w]. Where
    /// they are of another kind than the weights, bf16 say, [`Decoder::read`] computes its
    /// matrix products in that kind (mixed precision); [`Decoder::step`] takes the
    /// weights' kind alone.
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images;

    /// The state before the first word, a row for each image.
    fn begin(&self, images: &Images) -> Rows;

    /// One step from the previous `tokens` i64 (B), B a multiple of n: the rows of an
    /// image stand together.
    fn step(&self, images: &Images, tokens: &Tensor, state: &Rows) -> Step;

    /// Reads captions of these images, all steps at once (teacher forcing). Nothing is
    /// recorded for autograd.
    fn read<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Box<dyn Pass + 'a>;

    /// Its parameters by name, in the order in which their gradients lie in memory.
    fn parameters(&self) -> Vec<(&'static str, Tensor)>;
}

/// All of n images that a decoder needs, whatever the captions.
pub struct Images {
    /// The decoder's own tensors, n rows each; the first holds the cells that it sums.
    pub rows: Rows,
    /// How the attention grid comes from the encoder's.
    pub resampling: Resampling,
    /// Attention grid, [height, width]; P is their product.
    pub grid: [i64; 2],
}

impl Images {
    /// Number of images, n.
    pub fn len(&self) -> i64 {
        self.rows.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.rows.device()
    }

    /// What matrix products are computed in; sums, softmax and a state are of the weights'
    /// kind.
    pub fn kind(&self) -> Kind {
        self.rows.tensors()[0].kind()
    }

    /// Some of the images, in the order of `index` (i64).
    pub fn select(&self, index: &Tensor) -> Images {
        self.with(self.rows.select(index))
    }

    /// The first images, without a copy.
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

/// What one step gives.
pub struct Step {
    /// Scores of the next token, (B, V).
    pub logits: Tensor,
    /// The state after the step.
    pub state: Rows,
    /// Attention over the cells, (B, P).
    pub attention: Tensor,
}

/// What a decoder says of captions whose words it is told.
///
/// Rows of all steps lie one after the other, N of them: all captions' first tokens, then
/// all second ones, and so on; captions stand by descending length.
pub struct Output {
    /// Scores of the next token, (N, V).
    pub logits: Tensor,
    /// The right tokens, i64 (N).
    pub targets: Tensor,
    /// Attention over the cells, (N, P).
    pub attention: Tensor,
    /// b of each step: captions that have a token t + 1.
    pub counts: Vec<i64>,
}

impl Output {
    /// Number of captions, B.
    pub fn captions(&self) -> i64 {
        self.counts.first().copied().unwrap_or(0)
    }

    /// Which caption each row is of, (N).
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

/// A pass over captions, before its way back.
pub trait Pass {
    /// What the decoder said.
    fn output(&self) -> &Output;

    /// Adds the gradient of every parameter to `into`. Answers the gradient of the cells
    /// that went into [`Decoder::project`], (n, p, C), if `of_cells` asks for it.
    fn backward(
        self: Box<Self>,
        gradients: OutputGradients,
        into: &mut Gradients,
        of_cells: bool,
    ) -> Option<Tensor>;
}
