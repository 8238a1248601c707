//! The contents of `model.json`: a model's architecture and origin.

use super::decoder::{DecoderConfig, leave_out_arch};
use super::encoder::{EncoderConfig, name_kind};
use super::files::{DECODER, WORDS};
use super::json::strict;
use super::seal::SEAL;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
        json.get_mut("decoder").map(leave_out_arch);
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
        self.encoder
            .check()
            .map_err(|why| format!("encoder: {why}"))?;
        self.encoder.check_images(self.image_size)?;
        if let Some((axis, size)) = (self.image_size.iter())
            .enumerate()
            .find(|(_, size)| !(1..=1 << 13).contains(*size))
        {
            return Err(format!("image_size[{axis}] = {size} is not in 1..=8192"));
        }
        self.decoder.check()?;
        if self.encoder_blake3.is_empty() && self.encoder.resnet().is_none() {
            return Err(format!(
                "encoder_blake3 is empty, but only a ResNet is ever trained, not {}",
                self.encoder
            ));
        }
        let channels = self.decoder.channels;
        if channels != self.encoder.channels() {
            return Err(format!(
                "decoder.channels = {channels}, but the encoder makes {}",
                self.encoder.channels()
            ));
        }
        Ok(())
    }
}
