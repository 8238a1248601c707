//! The model: encoders, decoders, search, objectives, and files of weights.
//!
//! | module | what it is |
//! |---|---|
//! | [`encoder`] | pixels -> cells; a file for each architecture |
//! | [`decoder`] | cells -> words; a folder for each architecture |
//! | [`objective`] | training objectives and their gradients; a file for each |
//! | [`mod@search`] | search for captions with any decoder, or several |
//! | [`mod@gather`] | the rows of a batch as one tensor |
//! | [`weights`] | safetensors and `.pth` files |
//! | [`pickled`] | files of `torch.save`: state dicts, whole modules |
//! | [`arena`] | tensors in one buffer: gradients, moments |
//! | `product` | products of matrices |
//! | [`slices`] | the numbers of tensors as slices |
//! | [`mod@parallel`], [`mod@threads`], [`mod@device`] | the device, and threads on CPUs |
#![deny(missing_docs)]

pub mod arena;
pub mod decoder;
pub mod device;
pub mod encoder;
pub mod gather;
pub mod objective;
pub mod parallel;
pub mod pickled;
mod product;
pub mod search;
pub mod slices;
pub mod threads;
pub mod weights;

pub use arena::Arena;
pub use attend_artifact::model::{
    Arch, DecoderArch, DecoderConfig, EncoderConfig, LastStage, ResNetConfig, StrideIn,
    TransformerConfig,
};
pub use decoder::{Captions, Decoder, Gradients, Images, Output, OutputGradients, Pass, Reading};
pub use device::device;
pub use encoder::{Cells, Encoder, FrozenEncoder, Learning, TorchScript};
pub use gather::gather;
pub use objective::{CrossEntropy, HardAttention, Objective, Reward};
pub use parallel::parallel;
pub use search::{Hypothesis, LengthNorm, Sampling, SearchOptions, search};
pub use threads::{set_threads, threads};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read or written; the message names it.
    #[error("{0}")]
    File(String),
    /// The file's tensors are not those of the model.
    #[error("{0}")]
    Mismatch(String),
    /// The device does not exist.
    #[error("{0}")]
    Device(String),
    /// A frozen encoder fails, or answers something other than its cells.
    #[error("{0}")]
    Encoder(String),
}

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
