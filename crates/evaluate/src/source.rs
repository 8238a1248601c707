//! The decoder's input: features or pixels.

use attend_artifact::Artifact;
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::features::Features;
use attend_artifact::model::{EncoderConfig, ModelCard};
use attend_artifact::shard::Dtype;
use attend_describe::Captioner;
use attend_model::{Images, gather};
use attend_program::{Error, Result};
use tch::Tensor;

/// The source of the decoder's input.
pub enum ImageInput {
    /// A features artifact.
    Features(Features),
    /// The data set's pixels, which the checkpoint's encoder turns into features.
    Pixels,
}

impl ImageInput {
    /// Opens the features, which must have been made from this data set by the checkpoint's
    /// encoder, or else the pixels, which must have the size that it was trained on.
    ///
    /// # Errors
    /// [`Error::Refused`] if they don't fit.
    pub fn open(
        card: &ModelCard,
        dataset: &Artifact,
        features: Option<&Artifact>,
    ) -> Result<ImageInput> {
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
            return Ok(ImageInput::Pixels);
        };
        let at = features.root.display();
        let encoder = EncoderConfig::read(&features.file("encoder.json")?)?;
        let weights = encoder.weights_blake3(features)?;
        if !card.has_seen(&encoder, &weights) {
            let trained = match card.encoder_blake3.as_str() {
                "" => {
                    "the model has trained its own encoder; leave --input features out".to_owned()
                }
                digest => format!(
                    "the model was trained on features of the encoder {digest} ({}); \
                     make the features again with that one, or leave --input features out",
                    card.encoder
                ),
            };
            return Err(Error::refused(format!(
                "{at}: encoder {weights} ({encoder}), but {trained}"
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
        features.check_encoder(&encoder, size)?;
        let fits = features.check_decoder(card.decoder.grid);
        fits.map_err(|why| Error::refused(format!("{at}: {why}; leave --input features out")))?;
        Ok(ImageInput::Features(features))
    }

    /// The tensor of these images: features f16 or f32 (n, cells, C) or pixels u8
    /// (n, 3, H, W).
    ///
    /// # Errors
    /// [`Error::Refused`] if an image's numbers are missing, NaN or infinite.
    pub fn gather(&self, dataset: &Dataset, images: &[&ImageRecord]) -> Result<Tensor> {
        let rows: Vec<&[u8]> = (images.iter())
            .map(|image| match self {
                ImageInput::Features(features) => row(features, image.image_id),
                ImageInput::Pixels => dataset.pixels(image),
            })
            .collect::<Result<_>>()?;
        let (shape, dtype) = match self {
            ImageInput::Features(features) => {
                let [height, width] = features.grid();
                let shape = vec![height * width, features.channels()];
                (shape, features.dtype())
            }
            ImageInput::Pixels => {
                let [height, width] = dataset.image_size();
                (vec![3, height, width], Dtype::U8)
            }
        };
        let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        gather(&rows, &shape, dtype).map_err(Error::internal)
    }

    /// The input of a captioner's decoder, from images that [`ImageInput::gather`] returned.
    ///
    /// # Errors
    /// Those of [`Captioner::look`].
    pub fn project(&self, captioner: &Captioner, images: &Tensor) -> Result<Images> {
        match self {
            ImageInput::Features(features) => {
                Ok(captioner.project(images, features.grid().map(|n| n as i64)))
            }
            ImageInput::Pixels => captioner.look(images),
        }
    }
}

fn row(features: &Features, image_id: i64) -> Result<&[u8]> {
    let why = match features.row(image_id) {
        Some(row) if features.dtype().all_finite(row) => return Ok(row),
        Some(_) => "has NaN or infinite numbers for",
        None => "lacks",
    };
    Err(Error::refused(format!(
        "the features artifact {why} image {image_id}; make it again"
    )))
}
