//! The contents of `model.json`: a model's architecture and origin.

use super::encoder::{EncoderConfig, name_kind};
use super::files::{DECODER, WORDS};
use super::json::strict;
use super::seal::SEAL;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Sizes of a decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecoderConfig {
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

/// Contents of `model.json`, without the digests of the checkpoint's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The decoder's sizes.
    pub decoder: DecoderConfig,
    /// Height and width of its input images, in pixels.
    pub image_size: [i64; 2],
    /// BLAKE3 of the `vocab.json` that defines its ids.
    pub vocabulary_blake3: String,
    /// The encoder that its features were made with ([`EncoderConfig::weights_blake3`]);
    /// empty if the encoder was trained, too.
    pub encoder_blake3: String,
}

impl ModelCard {
    /// Reads the card from the object in a `model.json`.
    ///
    /// # Errors
    /// Names the key that is unknown or missing, or the invalid size.
    pub(super) fn parse(mut json: Map<String, Value>) -> Result<ModelCard, String> {
        json.remove(SEAL);
        json.get_mut("encoder").map(name_kind);
        let card: ModelCard = strict(Value::Object(json))?;
        card.check()?;
        Ok(card)
    }

    /// Whether its decoder was trained on features of this encoder, whose
    /// [`EncoderConfig::weights_blake3`] is `weights`.
    pub fn has_seen(&self, encoder: &EncoderConfig, weights: &str) -> bool {
        self.encoder_blake3 == weights && self.encoder.is_same(encoder)
    }

    /// The files of a checkpoint that describing photographs needs, besides `model.json`.
    pub fn files(&self) -> Vec<&'static str> {
        [WORDS, DECODER]
            .into_iter()
            .chain(self.encoder.file())
            .collect()
    }

    /// Refuses sizes that would make libtorch fail or ask for absurd memory.
    fn check(&self) -> Result<(), String> {
        let DecoderConfig {
            vocabulary,
            channels,
            embedding,
            attention,
            hidden,
            dropout,
            grid,
        } = self.decoder;
        self.encoder
            .check()
            .map_err(|why| format!("encoder: {why}"))?;
        self.encoder.check_images(self.image_size)?;
        let [height, width] = self.image_size;
        let sizes = [
            ("decoder.vocabulary", vocabulary, 1 << 20),
            ("decoder.embedding", embedding, 1 << 13),
            ("decoder.attention", attention, 1 << 13),
            ("decoder.hidden", hidden, 1 << 13),
            ("image_size[0]", height, 1 << 13),
            ("image_size[1]", width, 1 << 13),
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
        if self.encoder_blake3.is_empty() && self.encoder.resnet().is_none() {
            return Err(format!(
                "encoder_blake3 is empty, but only a ResNet is ever trained, not {}",
                self.encoder
            ));
        }
        if channels != self.encoder.channels() {
            return Err(format!(
                "decoder.channels = {channels}, but the encoder makes {}",
                self.encoder.channels()
            ));
        }
        Ok(())
    }
}
