//! What the decoder looks at.

use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::features::Features;
use attend_artifact::shard::Dtype;
use attend_artifact::{Artifact, Error, Result};
use attend_model::{Captioner, Cells, Images, ModelCard};
use tch::{Kind, Tensor};

/// Where the encoder's view of an image comes from.
pub enum Source {
    /// The features artifact.
    Features(Features),
    /// The encoder, from the data set's pixels.
    Pixels,
}

impl Source {
    /// The features, if they were made by the checkpoint's encoder from this
    /// data set, or the pixels, if they are of the size that it was trained on.
    ///
    /// # Errors
    /// [`Error::Refused`] where they were not.
    pub fn open(
        card: &ModelCard,
        dataset: &Artifact,
        features: Option<&Artifact>,
    ) -> Result<Source> {
        let size = ["image_height", "image_width"].map(|name| dataset.count(name) as i64);
        if size != card.image_size {
            return Err(Error::refused(format!(
                "{}: images of {} x {}, the model was trained on {} x {}; \
                 run ingest with dataset.image_size as in training",
                dataset.root.display(),
                size[0],
                size[1],
                card.image_size[0],
                card.image_size[1]
            )));
        }
        let Some(features) = features else {
            return Ok(Source::Pixels);
        };
        let at = features.root.display();
        let encoder = features.manifest.file("encoder.safetensors");
        let encoder = encoder.map_or("", |file| file.blake3.as_str());
        if encoder != card.encoder_blake3 {
            let trained = match card.encoder_blake3.as_str() {
                "" => {
                    "the model has trained its own encoder; leave --input features out".to_owned()
                }
                digest => format!(
                    "the model was trained on features of the encoder {digest}; \
                     make the features again with that one, or leave --input features out"
                ),
            };
            return Err(Error::refused(format!(
                "{at}: encoder {encoder}, but {trained}"
            )));
        }
        let of = features.manifest.inputs.get("dataset");
        if of.is_some_and(|input| input.digest != dataset.manifest.digest) {
            return Err(Error::refused(format!(
                "{at}: made from another data set than {}; run the features stage again",
                dataset.root.display()
            )));
        }
        let features = Features::open(features)?;
        features.check_shape(card.encoder.grid(size), card.encoder.channels())?;
        Ok(Source::Features(features))
    }

    /// What the decoder looks at, for these images.
    pub fn project(
        &self,
        captioner: &Captioner,
        dataset: &Dataset,
        images: &[&ImageRecord],
    ) -> Result<Images> {
        let n = images.len() as i64;
        let device = captioner.decoder_vars.device();
        let Cells { cells, grid } = match self {
            Source::Features(features) => {
                let bytes = gather(images, |image| {
                    let row = features.row(image.image_id);
                    let why = match row {
                        Some(row) if features.dtype().all_finite(row) => return Ok(row),
                        Some(_) => "has NaN or infinite numbers for",
                        None => "lacks",
                    };
                    Err(Error::refused(format!(
                        "the features artifact {why} image {}; make it again",
                        image.image_id
                    )))
                })?;
                let grid = features.grid().map(|n| n as i64);
                let shape = [n, grid[0] * grid[1], features.channels() as i64];
                let kind = match features.dtype() {
                    Dtype::F16 => Kind::Half,
                    _ => Kind::Float,
                };
                let cells = Tensor::from_data_size(&bytes, &shape, kind);
                let cells = cells.to_device(device).to_kind(Kind::Float);
                Cells { cells, grid }
            }
            Source::Pixels => {
                let bytes = gather(images, |image| dataset.pixels(image))?;
                let [h, w] = dataset.image_size().map(|n| n as i64);
                let pixels = Tensor::from_data_size(&bytes, &[n, 3, h, w], Kind::Uint8);
                captioner.encode(&pixels.to_device(device))
            }
        };
        Ok(captioner.decoder.project(&cells, grid))
    }
}

fn gather<'a>(
    images: &[&ImageRecord],
    row: impl Fn(&ImageRecord) -> Result<&'a [u8]>,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for image in images {
        bytes.extend_from_slice(row(image)?);
    }
    Ok(bytes)
}
