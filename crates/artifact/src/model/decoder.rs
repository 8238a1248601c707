//! The architecture and the sizes of a decoder: part of `model.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::{Display, Formatter};

/// Architecture of a decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DecoderArch {
    /// Soft attention and an LSTM, as in *Show, Attend and Tell* (Xu et al. 2015) and the
    /// PyTorch tutorial.
    #[default]
    AttentionLstm,
    /// Att2in (Rennie et al. 2017): attention feeds the LSTM's candidate only.
    Att2in,
    /// Up-Down (Anderson et al. 2018): an LSTM that attends, and one that speaks.
    UpDown,
    /// A Transformer (Vaswani et al. 2017) over the grid's cells; its width is `hidden`.
    Transformer(TransformerConfig),
}

/// Sizes of a Transformer, besides its width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TransformerConfig {
    /// Number of heads of each attention.
    pub heads: i64,
    /// Width of the feed-forward networks.
    pub feed_forward: i64,
    /// Number of layers of the encoder, over the cells.
    pub encoder_layers: i64,
    /// Number of layers of the decoder, over the words.
    pub decoder_layers: i64,
    /// Dropout probability in the layers, in training.
    pub dropout: f64,
}

impl Default for TransformerConfig {
    fn default() -> Self {
        TransformerConfig {
            heads: 8,
            feed_forward: 2048,
            encoder_layers: 3,
            decoder_layers: 3,
            dropout: 0.1,
        }
    }
}

impl TransformerConfig {
    /// Refuses sizes that don't go together with this width, or are absurd.
    ///
    /// # Errors
    /// Names the invalid parameter.
    pub fn check(&self, hidden: i64) -> Result<(), String> {
        let TransformerConfig {
            heads,
            feed_forward,
            encoder_layers,
            decoder_layers,
            dropout,
        } = *self;
        let sizes = [
            ("heads", heads, hidden),
            ("feed_forward", feed_forward, 1 << 16),
            ("encoder_layers", encoder_layers, 64),
            ("decoder_layers", decoder_layers, 64),
        ];
        if let Some((name, size, most)) =
            (sizes.iter()).find(|(_, size, most)| !(1..=*most).contains(size))
        {
            return Err(format!("transformer.{name} = {size} is not in 1..={most}"));
        }
        if hidden % heads != 0 || hidden % 4 != 0 {
            return Err(format!(
                "decoder.hidden = {hidden} is not a multiple of 4 and of transformer.heads = {heads}"
            ));
        }
        match (0.0..=1.0).contains(&dropout) {
            true => Ok(()),
            false => Err(format!("transformer.dropout = {dropout} is not in 0..=1")),
        }
    }
}

impl Display for DecoderArch {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DecoderArch::AttentionLstm => "attention-lstm",
            DecoderArch::Att2in => "att2in",
            DecoderArch::UpDown => "up-down",
            DecoderArch::Transformer(_) => "transformer",
        })
    }
}

/// Architecture and sizes of a decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecoderConfig {
    /// Architecture; absent if it is `attention-lstm`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub arch: DecoderArch,
    /// V: number of ids, specials included.
    pub vocabulary: i64,
    /// C: channels of the encoder's features.
    pub channels: i64,
    /// E: width of an embedding.
    pub embedding: i64,
    /// A: width of the attention network.
    pub attention: i64,
    /// H: width of the LSTM.
    pub hidden: i64,
    /// Fraction of h that is dropped before the last layer, in training.
    pub dropout: f64,
    /// Attention grid [height, width]; [0, 0] means the encoder's native grid.
    pub grid: [i64; 2],
}

fn is_default(arch: &DecoderArch) -> bool {
    *arch == DecoderArch::default()
}

/// Removes the architecture from the object of a decoder if it is the one that is not written.
pub(super) fn leave_out_arch(decoder: &mut Value) {
    if let Some(decoder) = decoder.as_object_mut()
        && decoder.get("arch") == Some(&json!(DecoderArch::default()))
    {
        decoder.remove("arch");
    }
}

impl DecoderConfig {
    /// Refuses sizes that would make libtorch fail or ask for absurd memory.
    pub(super) fn check(&self) -> Result<(), String> {
        let DecoderConfig {
            vocabulary,
            embedding,
            attention,
            hidden,
            dropout,
            grid,
            ..
        } = *self;
        let sizes = [
            ("decoder.vocabulary", vocabulary, 1 << 20),
            ("decoder.embedding", embedding, 1 << 13),
            ("decoder.attention", attention, 1 << 13),
            ("decoder.hidden", hidden, 1 << 13),
        ];
        if let Some((name, size, most)) = sizes
            .iter()
            .find(|(_, size, most)| !(1..=*most).contains(size))
        {
            return Err(format!("{name} = {size} is not in 1..={most}"));
        }
        if grid != [0, 0] && grid.iter().any(|n| !(1..=256).contains(n)) {
            return Err(format!(
                "decoder.grid = {grid:?} is neither [0, 0] nor in 1..=256"
            ));
        }
        if !(0.0..=1.0).contains(&dropout) {
            return Err(format!("decoder.dropout = {dropout} is not in 0..=1"));
        }
        if let DecoderArch::Transformer(sizes) = self.arch {
            sizes.check(hidden)?;
            if [embedding, attention] != [hidden; 2] {
                return Err(format!(
                    "decoder.embedding = {embedding} and decoder.attention = {attention} of a transformer are not decoder.hidden = {hidden}"
                ));
            }
        }
        Ok(())
    }
}
