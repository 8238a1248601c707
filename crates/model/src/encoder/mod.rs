//! Encoders: what turns pixels into cells.
//!
//! Each architecture is a file here, and a line in [`new`]. Training, features and
//! captions know the face [`Encoder`] alone: pixels go in as they are, and an encoder says
//! itself how it normalises them, which grid and how many channels it makes of them, and
//! which of its parameters learn.

mod resnet;

pub use resnet::{ResNet, normalised};

use crate::Result;
use crate::weights::StateDict;
use attend_artifact::model::EncoderConfig;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, nn};

/// How much of an encoder learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learning {
    /// Nothing.
    Frozen,
    /// The later layers; BatchNorm keeps its statistics. Of a ResNet: layer2 to layer4.
    FineTune,
    /// All of it, BatchNorm's statistics too.
    Whole,
}

/// What an encoder makes of images.
pub struct Cells {
    /// The cells, row by row: (B, p, C).
    pub cells: Tensor,
    /// Their grid, [height, width]; p is their product.
    pub grid: [i64; 2],
}

/// An encoder with fresh weights, drawn as its reference implementation draws them.
pub fn new(p: &nn::Path, config: &EncoderConfig) -> Box<dyn Encoder> {
    Box::new(ResNet::new(p, config))
}

/// What every encoder can do.
pub trait Encoder: Send {
    /// The cells of pixels u8 (B, 3, H, W), which it normalises. Its convolutions are
    /// computed in `kind`, f32 or lower. With `train`, it normalises batches as in
    /// training and moves its statistics; otherwise these stay as they are. What it
    /// computes is recorded for autograd, if any of its parameters learns.
    fn encode(&self, pixels: &Tensor, train: bool, kind: Kind) -> Cells;

    /// Height and width of the grid that it makes of images of this height and width.
    fn grid(&self, image_size: [i64; 2]) -> [i64; 2];

    /// C: channels of a cell.
    fn channels(&self) -> i64;

    /// Whether the parameter of that name learns.
    fn learns(&self, parameter: &str, learning: Learning) -> bool;

    /// Takes weights from a state dict into its variables, `vars`.
    ///
    /// # Errors
    /// One that names what is missing, superfluous, misshapen or no number that a weight
    /// can be.
    fn load(&self, vars: &nn::VarStore, dict: &StateDict) -> Result<()>;

    /// The same with the weights of now, made to look only: faster, without gradients.
    fn frozen(&self) -> Box<dyn Encoder>;
}
