//! The names of a model artifact's folders and files.

/// The folder of a model artifact that holds the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";

/// The losses and scores of the training, one JSON object per line; not in a checkpoint.
pub const METRICS: &str = "metrics.jsonl";

/// The model's architecture and origin ([`super::ModelCard`]).
pub const CARD: &str = "model.json";

/// The vocabulary.
pub const WORDS: &str = "vocab.json";

/// A ResNet's weights.
pub const ENCODER: &str = "encoder.safetensors";

/// The decoder's weights.
pub const DECODER: &str = "decoder.safetensors";

/// The optimizer's moments.
pub const OPTIMIZER: &str = "optimizer.safetensors";

/// The state of the training.
pub const STATE: &str = "state.json";
