//! A loaded checkpoint: encoder, decoder and words.

use crate::search::{Description, Search};
use attend_artifact::model::{Checkpoint, ModelCard};
use attend_artifact::shard::Dtype;
use attend_artifact::vocabulary::Vocabulary;
use attend_image::Photograph;
use attend_model::weights::{self, StateDict};
use attend_model::{Cells, Decoder, Encoder, Images, decoder, encoder, gather};
use attend_program::{Error, Result};
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
    encoder: Box<dyn Encoder>,
    device: Device,
}

impl Captioner {
    /// Loads a checkpoint after comparing its files with their digests.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file that is missing or damaged, or doesn't fit the
    /// checkpoint's `model.json`; [`Error::Interrupted`].
    pub fn load(checkpoint: &Checkpoint, device: Device) -> Result<Captioner> {
        checkpoint.check()?;
        let vocabulary = checkpoint.vocabulary()?;
        let card = checkpoint.card.clone();

        let path = checkpoint.encoder();
        let vars = nn::VarStore::new(device);
        let encoder = encoder::new(&vars.root(), &card.encoder);
        let loaded = encoder.load(&vars, &read(&path)?);
        loaded.map_err(|e| Error::refused(format!("{}: {e}", path.display())))?;

        let path = checkpoint.decoder();
        let vars = nn::VarStore::new(device);
        let decoder = decoder::new(&vars.root(), &card.decoder);
        let loaded = weights::assign(&vars, &read(&path)?, &|_| false);
        loaded.map_err(|e| Error::refused(format!("{}: {e}", path.display())))?;

        Ok(Captioner {
            card,
            vocabulary,
            decoder,
            encoder: encoder.frozen(),
            device,
        })
    }

    /// A photograph's pixels u8 [3, H, W], row-major, resized to the encoder's image size in
    /// the same way as by ingest.
    pub fn prepare(&self, photograph: &Photograph) -> Vec<u8> {
        let [height, width] = self.card.image_size.map(|n| n as u32);
        let pixels = attend_image::resize(photograph, height, width);
        attend_image::to_planar(&pixels, height, width)
    }

    /// The best caption of each photograph, with one beam size. The photographs come from
    /// [`Captioner::prepare`].
    ///
    /// # Errors
    /// [`Error::Internal`] if a photograph has another size.
    pub fn describe(
        &self,
        prepared: &[Vec<u8>],
        search: &Search,
        beam: usize,
    ) -> Result<Vec<Description>> {
        let [height, width] = self.card.image_size;
        let rows: Vec<&[u8]> = prepared.iter().map(Vec::as_slice).collect();
        let pixels = gather(&rows, &[3, height, width], Dtype::U8).map_err(Error::internal)?;
        let images = self.look(&pixels);
        Ok(search.describe(&[(self.decoder.as_ref(), &images)], &self.vocabulary, beam))
    }

    /// The decoder's input for images with `pixels` u8 (n, 3, H, W).
    pub fn look(&self, pixels: &Tensor) -> Images {
        no_grad(|| {
            let pixels = pixels.to_device(self.device);
            let Cells { cells, grid } = self.encoder.encode(&pixels, false, Kind::Float);
            self.decoder.project(&cells, grid)
        })
    }

    /// The decoder's input for images with `features` f16 or f32 (n, cells, C) of the same
    /// encoder, on a grid of [height, width] cells.
    pub fn project(&self, features: &Tensor, grid: [i64; 2]) -> Images {
        let features = features.to_device(self.device).to_kind(Kind::Float);
        no_grad(|| self.decoder.project(&features, grid))
    }
}

fn read(path: &Path) -> Result<StateDict> {
    weights::read(path).map_err(Error::refused)
}
