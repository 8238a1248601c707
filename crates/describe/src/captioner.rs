//! A loaded checkpoint: encoder, decoder and words.

use crate::command::EncoderCommand;
use crate::coprocess::{Coprocess, PATIENCE};
use crate::description::Description;
use crate::search::Search;
use attend_artifact::model::{Checkpoint, EncoderConfig, ModelCard};
use attend_artifact::shard::Dtype;
use attend_artifact::vocabulary::Vocabulary;
use attend_model::weights::{self, StateDict};
use attend_model::{Cells, Decoder, FrozenEncoder, Images, TorchScript, decoder, encoder, gather};
use attend_program::{Error, Result, check_interrupt};
use std::path::Path;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// A model that captions images.
pub struct Captioner {
    /// The model's description, from `model.json`.
    pub card: ModelCard,
    /// The words for the decoder's ids.
    pub vocabulary: Vocabulary,
    /// The decoder.
    pub decoder: Box<dyn Decoder>,
    /// `None` if the images are features.
    encoder: Option<Box<dyn FrozenEncoder>>,
    device: Device,
}

impl Captioner {
    /// Loads a checkpoint after comparing its files with their digests. A foreign encoder
    /// is started by `command`.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file that is missing or damaged, or doesn't fit the
    /// checkpoint's `model.json`; [`Error::Input`] if the command can't be started;
    /// [`Error::Interrupted`].
    pub fn load(
        checkpoint: &Checkpoint,
        device: Device,
        command: Option<&EncoderCommand>,
    ) -> Result<Captioner> {
        let captioner = Captioner::of_features(checkpoint, device)?;
        let encoder = open_encoder(checkpoint, device, command)?;
        Ok(Captioner {
            encoder: Some(encoder),
            ..captioner
        })
    }

    /// Like [`Captioner::load`], for images whose features are given: without the encoder.
    ///
    /// # Errors
    /// Those of [`Captioner::load`].
    pub fn of_features(checkpoint: &Checkpoint, device: Device) -> Result<Captioner> {
        checkpoint.check()?;
        let vocabulary = checkpoint.vocabulary()?;
        let card = checkpoint.card.clone();
        let path = checkpoint.decoder();
        let vars = nn::VarStore::new(device);
        let decoder = decoder::new(&vars.root(), &card.decoder);
        let loaded = weights::assign(&vars, &read(&path)?, &|_| false);
        loaded.map_err(|e| Error::refused(format!("{}: {e}", path.display())))?;
        Ok(Captioner {
            card,
            vocabulary,
            decoder,
            encoder: None,
            device,
        })
    }

    /// The captions of each photograph with one beam size, best first, at least one and at most
    /// `search.n_best`. A photograph is its pixels
    /// u8 [3, H, W], row-major, resized to the card's image size in the same way as by ingest.
    ///
    /// # Errors
    /// [`Error::Internal`] if a photograph has another size; those of [`Captioner::look`] and
    /// [`Search::describe`].
    pub fn describe(
        &self,
        prepared: &[Vec<u8>],
        search: &Search,
        beam: usize,
    ) -> Result<Vec<Vec<Description>>> {
        let [height, width] = self.card.image_size;
        let rows: Vec<&[u8]> = prepared.iter().map(Vec::as_slice).collect();
        let pixels = gather(&rows, &[3, height, width], Dtype::U8).map_err(Error::internal)?;
        let images = self.look(&pixels)?;
        search.describe(&[(self.decoder.as_ref(), &images)], &self.vocabulary, beam)
    }

    /// The decoder's input for images with `pixels` u8 (n, 3, H, W).
    ///
    /// # Errors
    /// [`Error::Input`] if the encoder fails, such as a foreign encoder's program;
    /// [`Error::Interrupted`].
    pub fn look(&self, pixels: &Tensor) -> Result<Images> {
        let encoder = self.encoder.as_ref();
        let encoder =
            encoder.ok_or_else(|| Error::internal("a captioner of features got pixels"))?;
        let seen = encoder.cells(&pixels.to_device(self.device));
        let Cells { cells, grid } = seen.map_err(failed)?;
        let cells = cells.to_device(self.device);
        Ok(no_grad(|| self.decoder.project(&cells, grid)))
    }

    /// Ends a foreign encoder's program. The captions are right if it ends well.
    ///
    /// # Errors
    /// Those of [`Captioner::look`].
    pub fn end(self) -> Result<()> {
        self.encoder
            .map_or(Ok(()), |encoder| encoder.end().map_err(failed))
    }

    /// The decoder's input for images with `features` f16 or f32 (n, cells, C) of the same
    /// encoder, on a grid of [height, width] cells.
    pub fn project(&self, features: &Tensor, grid: [i64; 2]) -> Images {
        let features = features.to_device(self.device).to_kind(Kind::Float);
        no_grad(|| self.decoder.project(&features, grid))
    }
}

/// An encoder's error. Ctrl-C may have ended its program, too.
fn failed(error: attend_model::Error) -> Error {
    match check_interrupt() {
        Ok(()) => Error::input(error),
        Err(interrupted) => interrupted,
    }
}

fn open_encoder(
    checkpoint: &Checkpoint,
    device: Device,
    command: Option<&EncoderCommand>,
) -> Result<Box<dyn FrozenEncoder>> {
    let encoder = &checkpoint.card.encoder;
    match (encoder, checkpoint.encoder(), command) {
        (EncoderConfig::ResNet(resnet), Some(path), _) => {
            let vars = nn::VarStore::new(device);
            let encoder = encoder::new(&vars.root(), resnet);
            let loaded = encoder.load(&vars, &read(&path)?);
            loaded.map_err(|e| Error::refused(format!("{}: {e}", path.display())))?;
            Ok(encoder.frozen())
        }
        (EncoderConfig::TorchScript(script), Some(path), _) => {
            let script = TorchScript::open(&path, script, device);
            Ok(Box::new(script.map_err(Error::refused)?))
        }
        (EncoderConfig::Foreign(foreign), _, Some(command)) => {
            let started = Coprocess::start(foreign, command, PATIENCE);
            Ok(Box::new(started.map_err(Error::input)?))
        }
        _ => Err(Error::internal(format!("nothing runs {encoder}"))),
    }
}

fn read(path: &Path) -> Result<StateDict> {
    weights::read(path).map_err(Error::refused)
}
