//! Models of the PyTorch tutorial on captioning (sgrvinod's): `attend-train import
//! --tutorial` and `attend-train export --tutorial`.
//!
//! Its `train.py` saves a dict whose `encoder` and `decoder` are whole modules. The encoder
//! is a ResNet in a `Sequential`, then adaptive average pooling; the decoder has our
//! parameters by the same names. A word map beside it says the words' ids.
//!
//! - [`mod@import`], `encoder`: the way here; [`mod@export`], `modules`: the way back.
//! - `wordmap`: the word map, both ways.

mod encoder;
pub mod export;
pub mod import;
mod modules;
mod wordmap;

/// What torchvision calls the parts of a ResNet, in the order of the tutorial's `Sequential`.
const PARTS: [&str; 8] = [
    "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4",
];

/// Height and width of the tutorial's images.
const IMAGE_SIZE: i64 = 256;
