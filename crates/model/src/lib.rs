//! The model: ResNet encoder, attention decoder, beam search, and the files
//! that weights come from and go to.
#![deny(missing_docs)]

pub mod decoder;
pub mod device;
pub mod encoder;
pub mod gather;
pub mod parallel;
pub mod search;
pub mod threads;
pub mod weights;

pub use attend_artifact::model::{Arch, DecoderConfig, EncoderConfig, LastStage, StrideIn};
pub use decoder::{
    Captions, Decoder, Gradients, Loss, Objective, Projected, Reading, State, Step, Teacher,
};
pub use device::device;
pub use encoder::{Encoder, FrozenEncoder, cells, normalise};
pub use gather::gather;
pub use parallel::parallel;
pub use search::{Hypothesis, SearchOptions, beam_search, ensemble_search};
pub use threads::{set_threads, threads};

/// What is wrong with a file of weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read as what it should be; the message names it.
    #[error("{0}")]
    File(String),
    /// The file's tensors are not those of the model.
    #[error("{0}")]
    Mismatch(String),
    /// There is no such device.
    #[error("{0}")]
    Device(String),
}

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
