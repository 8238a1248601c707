//! Encoders, which turn pixels into cells.
//!
//! Each kind of network is a file here. Training uses only the interface [`Encoder`], which
//! ResNets have ([`new`]); features and captions use only [`FrozenEncoder`]. They pass
//! unnormalised pixels, and the encoder decides how to normalise them, which grid and how
//! many channels to make, and which of its parameters are trained.

mod interface;
mod names;
mod pixels;
mod resnet;
mod torchscript;

pub use interface::{Cells, Encoder, FrozenEncoder, Learning};
pub use resnet::{ResNet, normalised};
pub use torchscript::TorchScript;

use attend_artifact::model::ResNetConfig;
use tch::nn;

/// An encoder with random weights, initialised like its reference implementation's.
pub fn new(p: &nn::Path, config: &ResNetConfig) -> Box<dyn Encoder> {
    Box::new(ResNet::new(p, config))
}
