//! Encoders, which turn pixels into cells.
//!
//! Each architecture is a file here, and a line in [`new`]. Training, features and
//! captions use only the interface [`Encoder`]: they pass unnormalised pixels, and the
//! encoder decides how to normalise them, which grid and how many channels to make, and
//! which of its parameters are trained.

mod interface;
mod resnet;

pub use interface::{Cells, Encoder, Learning};
pub use resnet::{ResNet, normalised};

use attend_artifact::model::EncoderConfig;
use tch::nn;

/// An encoder with random weights, initialised like its reference implementation's.
pub fn new(p: &nn::Path, config: &EncoderConfig) -> Box<dyn Encoder> {
    Box::new(ResNet::new(p, config))
}
