//! Names of a model artifact's folders and files.

/// The folder of a model artifact that holds the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";

/// The losses and scores of the training, a JSON object a line; not in a checkpoint.
pub const METRICS: &str = "metrics.jsonl";

/// What the model is.
pub const CARD: &str = "model.json";

/// The words.
pub const WORDS: &str = "vocab.json";

/// The encoder's weights.
pub const ENCODER: &str = "encoder.safetensors";

/// The decoder's weights.
pub const DECODER: &str = "decoder.safetensors";

/// The optimizer's moments.
pub const OPTIMIZER: &str = "optimizer.safetensors";

/// Where the training stood.
pub const STATE: &str = "state.json";

/// The files that describing a photograph takes, beside [`CARD`].
pub const DESCRIBING: [&str; 3] = [WORDS, ENCODER, DECODER];
