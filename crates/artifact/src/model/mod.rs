//! The `model` artifact: all that is known of a checkpoint's folder, without libtorch.
//!
//! | file of `checkpoints/{best,last,epoch-00001,…}/` | holds |
//! |---|---|
//! | `model.json` | the [`ModelCard`], and the BLAKE3 of every file of the folder ([`seal()`]) |
//! | `vocab.json` | the words whose ids the decoder knows |
//! | `encoder.safetensors`, `decoder.safetensors` | the weights, under the names of [`Parameters`] |
//! | `state.json` | where the training stood: the trainer's own |
//! | `optimizer.safetensors` | in `last`: the optimizer's moments, to go on from |
//!
//! Beside the checkpoints lie `metrics.jsonl` and TensorBoard events.
//!
//! - [`encoder`], [`card`]: what a model is, as JSON. [`parameters`]: its weights' names
//!   and shapes.
//! - [`files`]: the names above. [`checkpoint`]: finding, opening and checking a checkpoint.
//! - [`mod@seal`]: the digests of its files. [`weights`]: what can be wrong in a file of weights.
//! - [`mod@write`]: writing and replacing checkpoints whole, and tidying up after a
//!   process that died.

pub mod card;
pub mod checkpoint;
pub mod encoder;
pub mod files;
mod json;
pub mod parameters;
pub mod seal;
pub mod weights;
pub mod write;

pub use card::{DecoderConfig, ModelCard};
pub use checkpoint::Checkpoint;
pub use encoder::{Arch, EncoderConfig, LastStage, StrideIn};
pub use files::{
    CARD, CHECKPOINTS, DECODER, DESCRIBING, ENCODER, METRICS, OPTIMIZER, STATE, WORDS,
};
pub use parameters::Parameters;
pub use seal::{check, seal};
pub use weights::check_finite;
pub use write::{epoch, epoch_name, recover, swap, tidy, write};
