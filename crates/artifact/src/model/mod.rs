//! The `model` artifact: reads, checks and writes checkpoints, without libtorch.
//!
//! | file of `checkpoints/{best,last,epoch-00001,…}/` | holds |
//! |---|---|
//! | `model.json` | the [`ModelCard`], and the BLAKE3 of every file of the folder ([`seal()`]) |
//! | `vocab.json` | the vocabulary that defines the decoder's ids |
//! | `decoder.safetensors` | the decoder's weights, under the names of [`Parameters`] |
//! | `encoder.safetensors` or `encoder.pt` | the encoder, unless it is another program's ([`EncoderConfig::file`]) |
//! | `state.json` | the state of the training, in the trainer's own format |
//! | `optimizer.safetensors` | in `last`: the optimizer's moments, to resume from |
//!
//! Beside the checkpoints are `metrics.jsonl` and TensorBoard events.
//!
//! - [`encoder`], [`resnet`], [`decoder`], [`card`]: a model's architecture, as JSON.
//!   [`parameters`]: its weights' names and shapes. [`script`]: the section of a config that
//!   names a TorchScript module.
//! - [`files`]: the names above. [`checkpoint`]: finds, opens and checks checkpoints.
//! - [`mod@seal`]: the digests of its files. [`weights`]: checks files of weights.
//! - [`mod@write`]: writes and replaces checkpoints atomically, and cleans up after a
//!   process that died.

pub mod card;
pub mod checkpoint;
pub mod decoder;
pub mod encoder;
pub mod files;
mod json;
pub mod parameters;
pub mod resnet;
pub mod script;
pub mod seal;
pub mod weights;
pub mod write;

pub use card::ModelCard;
pub use checkpoint::Checkpoint;
pub use decoder::{DecoderArch, DecoderConfig, TransformerConfig};
pub use encoder::{EncoderConfig, ForeignConfig, Form, SCRIPT, TorchScriptConfig};
pub use files::{CARD, CHECKPOINTS, DECODER, ENCODER, METRICS, OPTIMIZER, STATE, WORDS};
pub use parameters::Parameters;
pub use resnet::{Arch, LastStage, ResNetConfig, StrideIn};
pub use script::TorchScriptSection;
pub use seal::{check, seal};
pub use weights::check_finite;
pub use write::{epoch, epoch_name, recover, swap, tidy, write};
