//! Decoders, which turn the cells of an image into words.
//!
//! Each architecture is a folder or a file here, and a line in [`new`]. Search, training and
//! objectives use only the interface [`Decoder`]: a projection of images that does not
//! depend on captions ([`Images`]), a state with selectable rows ([`Rows`]), a step, and a
//! [`Pass`] over given captions with a backward pass from the gradients of its [`Output`].
//!
//! Shapes: n images, p native cells, P attention cells, C channels, B captions, T steps,
//! V vocabulary, N tokens without padding.

mod additive;
pub mod attention_lstm;
mod captions;
mod dropout;
mod gradients;
mod grid;
mod interface;
mod parameters;
mod recurrent;
mod rows;
mod slots;
mod transformer;

pub use captions::{Captions, Reading};
pub use gradients::Gradients;
pub use grid::Resampling;
pub use interface::{Decoder, Images, Output, OutputGradients, Pass, Step};
pub use rows::Rows;

use attend_artifact::model::{DecoderArch, DecoderConfig};
use tch::nn;
use transformer::Transformer;

/// A decoder with random weights, initialised as in PyTorch and the reference
/// implementation.
pub fn new(p: &nn::Path, config: &DecoderConfig) -> Box<dyn Decoder> {
    match config.arch {
        DecoderArch::AttentionLstm => Box::new(attention_lstm::AttentionLstm::new(p, config)),
        DecoderArch::Att2in => recurrent::att2in(p, config),
        DecoderArch::UpDown => recurrent::up_down(p, config),
        DecoderArch::Transformer(sizes) => Box::new(Transformer::new(p, config, sizes)),
    }
}
