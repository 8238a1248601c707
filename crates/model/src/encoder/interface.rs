//! The interfaces of encoders.

use crate::Result;
use crate::weights::StateDict;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, nn};

/// Which encoder weights are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learning {
    /// None.
    Frozen,
    /// The later layers (of a ResNet layer2 to layer4), without BatchNorm's statistics.
    FineTune,
    /// All, and BatchNorm's statistics.
    Whole,
}

/// The output of an encoder for images.
pub struct Cells {
    /// The cells, row by row: (B, p, C).
    pub cells: Tensor,
    /// The grid, [height, width]; p is their product.
    pub grid: [i64; 2],
}

/// An encoder that may be trained.
pub trait Encoder: Send {
    /// The cells of unnormalised pixels u8 (B, 3, H, W). Convolutions are computed in
    /// `kind`, f32 or lower. With `train`, BatchNorm uses the batch's statistics and
    /// updates its own. Autograd records the computation if any of the parameters is
    /// trained.
    fn encode(&self, pixels: &Tensor, train: bool, kind: Kind) -> Cells;

    /// Height and width of the grid for images of this height and width.
    fn grid(&self, image_size: [i64; 2]) -> [i64; 2];

    /// C, the number of channels of a cell.
    fn channels(&self) -> i64;

    /// Whether the parameter with this name is trained.
    fn learns(&self, parameter: &str, learning: Learning) -> bool;

    /// Copies weights from a state dict into the encoder's variables, `vars`.
    ///
    /// # Errors
    /// Names tensors that are missing, superfluous or misshapen, or that have invalid
    /// numbers.
    fn load(&self, vars: &nn::VarStore, dict: &StateDict) -> Result<()>;

    /// An inference-only copy with the current weights: faster, without gradients.
    fn frozen(&self) -> Box<dyn FrozenEncoder>;
}

/// An encoder that is only run.
pub trait FrozenEncoder: Send {
    /// The cells, f32, of unnormalised pixels u8 (B, 3, H, W), without gradients.
    ///
    /// # Errors
    /// [`Error::Encoder`](crate::Error::Encoder) if it fails on these pixels.
    fn cells(&self, pixels: &Tensor) -> Result<Cells>;

    /// Ends what runs for it; it encodes no more pixels.
    ///
    /// # Errors
    /// [`Error::Encoder`](crate::Error::Encoder) if it ends badly, so that its cells are not
    /// to be trusted.
    fn end(&self) -> Result<()> {
        Ok(())
    }
}
