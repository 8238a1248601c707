//! A checkpoint: all that it takes to describe a photograph.

use crate::decoder::{self, Decoder, DecoderConfig};
use crate::encoder::{self, Cells, Encoder, EncoderConfig};
use crate::weights;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// Contents of `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The encoder's architecture.
    pub encoder: EncoderConfig,
    /// The decoder's sizes.
    pub decoder: DecoderConfig,
    /// Height and width of the images that it sees, in pixels.
    pub image_size: [i64; 2],
    /// BLAKE3 of the `vocab.json` that its ids are of.
    pub vocabulary_blake3: String,
    /// BLAKE3 of the encoder's weights that its features were made with; empty
    /// where the encoder was trained with it.
    pub encoder_blake3: String,
}

impl ModelCard {
    /// The card in a checkpoint's folder.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and what is wrong: it can't be read, it holds
    /// what this version doesn't know or lacks what it must not guess, or sizes that no
    /// model has.
    pub fn read(folder: &Path) -> Result<ModelCard> {
        let path = folder.join("model.json");
        let wrong = |why: String| Error::File(format!("{}: {why}", path.display()));
        let text = std::fs::read(&path)
            .map_err(|e| wrong(format!("{e}; a checkpoint folder has this file")))?;
        parse(&text).map_err(wrong)
    }
}

/// A model that describes photographs.
pub struct Captioner {
    /// What it is.
    pub card: ModelCard,
    /// The encoder.
    pub encoder: Box<dyn Encoder>,
    /// The decoder.
    pub decoder: Box<dyn Decoder>,
    /// The encoder's variables.
    pub encoder_vars: nn::VarStore,
    /// The decoder's variables.
    pub decoder_vars: nn::VarStore,
    frozen: Box<dyn Encoder>,
}

impl Captioner {
    /// A model with fresh weights.
    pub fn new(card: ModelCard, device: Device) -> Captioner {
        let (encoder_vars, decoder_vars) = (nn::VarStore::new(device), nn::VarStore::new(device));
        let encoder = encoder::new(&encoder_vars.root(), &card.encoder);
        let decoder = decoder::new(&decoder_vars.root(), &card.decoder);
        let frozen = encoder.frozen();
        Captioner {
            card,
            encoder,
            decoder,
            encoder_vars,
            decoder_vars,
            frozen,
        }
    }

    /// Loads a checkpoint folder.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Mismatch`] naming the file and what is wrong.
    pub fn load(folder: &Path, device: Device) -> Result<Captioner> {
        let card = ModelCard::read(folder)?;
        let vocabulary = folder.join("vocab.json");
        let bytes = std::fs::read(&vocabulary)
            .map_err(|e| Error::File(format!("{}: {e}", vocabulary.display())))?;
        let digest = blake3::hash(&bytes).to_hex();
        if digest.as_str() != card.vocabulary_blake3 {
            return Err(Error::Mismatch(format!(
                "{}: BLAKE3 {digest} is not {}, the vocabulary that the checkpoint was trained with",
                vocabulary.display(),
                card.vocabulary_blake3
            )));
        }
        let mut captioner = Captioner::new(card, device);
        let path = folder.join("encoder.safetensors");
        let loaded = captioner
            .encoder
            .load(&captioner.encoder_vars, &weights::read(&path)?);
        loaded.map_err(|e| Error::Mismatch(format!("{}: {e}", path.display())))?;
        let path = folder.join("decoder.safetensors");
        let dict = weights::read(&path)?;
        weights::assign(&captioner.decoder_vars, &dict, &|_| false)
            .map_err(|e| Error::Mismatch(format!("{}: {e}", path.display())))?;
        captioner.frozen = captioner.encoder.frozen();
        Ok(captioner)
    }

    /// Writes `model.json` and both files of weights into a folder.
    ///
    /// # Errors
    /// [`Error::File`] where the disk refuses.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let wrong = |e: std::io::Error| Error::File(format!("{}: {e}", folder.display()));
        std::fs::create_dir_all(folder).map_err(wrong)?;
        let json =
            serde_json::to_string_pretty(&self.card).map_err(|e| Error::File(e.to_string()))?;
        std::fs::write(folder.join("model.json"), json + "\n").map_err(wrong)?;
        for (name, vars) in [
            ("encoder", &self.encoder_vars),
            ("decoder", &self.decoder_vars),
        ] {
            weights::write(
                &folder.join(format!("{name}.safetensors")),
                &vars.variables().into_iter().collect(),
            )?;
        }
        Ok(())
    }

    /// The cells of pixels u8 (B, 3, H, W), without gradients, with the encoder's weights
    /// as they were when the captioner was made or loaded.
    pub fn encode(&self, images: &Tensor) -> Cells {
        no_grad(|| self.frozen.encode(images, false, Kind::Float))
    }
}

impl EncoderConfig {
    /// The contents of an `encoder.json`.
    ///
    /// # Errors
    /// [`Error::File`] naming the file: it can't be read, holds what this version doesn't
    /// know, or lacks what it must not guess.
    pub fn read(path: &Path) -> Result<EncoderConfig> {
        let wrong = |why: String| Error::File(format!("{}: {why}", path.display()));
        let text = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
        let given = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        strict(given).map_err(wrong)
    }
}

/// The card of a `model.json`.
fn parse(text: &[u8]) -> std::result::Result<ModelCard, String> {
    let mut given: Value = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    // The digests of the checkpoint's files, which whoever writes it adds.
    if let Some(card) = given.as_object_mut() {
        card.remove("blake3");
    }
    let card = strict(given)?;
    check(&card).map(|()| card)
}

/// An object that has each of its keys and no other: what this version doesn't know may
/// change what the weights mean; what is missing must not be guessed.
pub(crate) fn strict<T: Serialize + DeserializeOwned>(
    given: Value,
) -> std::result::Result<T, String> {
    let value: T = serde_json::from_value(given.clone()).map_err(|e| e.to_string())?;
    let known = serde_json::to_value(&value).map_err(|e| e.to_string())?;
    if let Some(key) = keys(&given).difference(&keys(&known)).next() {
        return Err(format!("holds {key}, which this version doesn't know"));
    }
    if let Some(key) = keys(&known).difference(&keys(&given)).next() {
        return Err(format!("lacks {key}"));
    }
    Ok(value)
}

/// The keys of an object and of the objects in it, dotted.
fn keys(value: &Value) -> BTreeSet<String> {
    let members = value.as_object().into_iter().flatten();
    let each = members.flat_map(|(key, value)| {
        let inner = keys(value).into_iter().map(move |k| format!("{key}.{k}"));
        inner.chain([key.clone()])
    });
    each.collect()
}

/// Refuses sizes that would make libtorch fail or ask for absurd memory.
fn check(card: &ModelCard) -> std::result::Result<(), String> {
    let DecoderConfig {
        vocabulary,
        channels,
        embedding,
        attention,
        hidden,
        dropout,
        grid,
    } = card.decoder;
    let [height, width] = card.image_size;
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
    if channels != card.encoder.channels() {
        return Err(format!(
            "decoder.channels = {channels}, but the encoder makes {}",
            card.encoder.channels()
        ));
    }
    Ok(())
}
