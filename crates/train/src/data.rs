//! The trainer's input: captions as ids, and the features or pixels of each image.

use crate::order::Group;
use attend_artifact::dataset::{CaptionRecord, Dataset, ImageRecord};
use attend_artifact::features::Features;
use attend_artifact::shard::{Dtype, will_need};
use attend_artifact::vocabulary::{EncodedRecord, Tokenizer};
use attend_image::Photograph;
use attend_model::gather;
use attend_program::{Error, Result};
use std::collections::{HashMap, HashSet};
use tch::{Device, Tensor};

/// The source of the decoder's input.
pub enum ImageInput {
    /// Features that a frozen encoder computed from the images.
    Features(Features),
    /// The images' pixels.
    Pixels,
}

/// Images and captions of the train and validation splits.
pub struct Data {
    dataset: Dataset,
    source: ImageInput,
    /// For each caption of the train split, the index of its image in the data set.
    pub image_of_caption: Vec<usize>,
    captions: Vec<EncodedRecord>,
    /// Indices of the validation images.
    pub validation: Vec<usize>,
    /// The captions of each validation image, as indices of [`Data::captions`].
    captions_of_validation: Vec<Vec<usize>>,
    /// The human captions of each validation image.
    pub references: Vec<Vec<String>>,
}

/// Images and the human captions of each.
pub type Described = (Vec<usize>, Vec<Vec<String>>);

/// The data of one batch.
pub struct Batch {
    /// Features f16/f32 (n, cells, channels) or pixels u8 (n, 3, H, W).
    pub images: Tensor,
    /// Which of the n images each caption describes, (B).
    pub image_of_caption: Vec<i64>,
    /// `<start>` … `<end>`, padded: i64 (B, L), by descending length.
    pub tokens: Tensor,
    /// Tokens of each caption, `<start>` and `<end>` included.
    pub lengths: Vec<i64>,
}

impl Batch {
    /// The same batch in pinned memory, which a CUDA device reads while the processor
    /// continues. Unchanged if the system has no pinned memory left; the copy then blocks.
    pub fn pinned_for(self, device: Device) -> Batch {
        if !device.is_cuda() {
            return self;
        }
        match self.images.f_internal_pin_memory(device) {
            Ok(images) => Batch { images, ..self },
            Err(_) => self,
        }
    }
}

impl Data {
    /// Joins captions, images and features. `new` leaves out the validation images that have a
    /// sentence of the train split, by the words of this tokenizer.
    ///
    /// # Errors
    /// [`Error::Input`] if a split is empty, [`Error::Refused`] if the tables don't belong
    /// together.
    pub fn new(
        dataset: Dataset,
        source: ImageInput,
        encoded: Vec<EncodedRecord>,
        validation_split: &str,
        new: Option<Tokenizer>,
    ) -> Result<Data> {
        let index: HashMap<i64, usize> = dataset
            .images()
            .iter()
            .enumerate()
            .map(|(i, image)| (image.image_id, i))
            .collect();
        let (mut captions, others): (Vec<_>, Vec<_>) =
            (encoded.into_iter()).partition(|caption| caption.split == "train");
        if captions.is_empty() {
            return Err(Error::input(
                "the vocabulary artifact has no caption of split \"train\": nothing to train on",
            ));
        }
        let image_of_caption = captions
            .iter()
            .map(|caption| {
                index.get(&caption.image_id).copied().ok_or_else(|| {
                    Error::refused(format!(
                        "caption {} describes image {}, which is not in the data set",
                        caption.caption_id, caption.image_id
                    ))
                })
            })
            .collect::<Result<Vec<usize>>>()?;
        if let ImageInput::Features(features) = &source
            && let Some(image) = dataset
                .images()
                .iter()
                .find(|image| features.row(image.image_id).is_none())
        {
            return Err(Error::refused(format!(
                "the features artifact lacks image {}; make it again",
                image.image_id
            )));
        }
        dataset.split(validation_split)?;
        let mut of_image: HashMap<i64, Vec<String>> = HashMap::new();
        for CaptionRecord {
            image_id, caption, ..
        } in dataset.captions()
        {
            of_image.entry(*image_id).or_default().push(caption.clone());
        }
        if let Some(tokenizer) = new {
            keep_new(&mut of_image, &dataset, validation_split, tokenizer)?;
        }
        // An image without a human caption can't be scored.
        let (validation, references) = dataset
            .images()
            .iter()
            .enumerate()
            .filter(|(_, image)| image.split == validation_split)
            .filter_map(|(i, image)| Some((i, of_image.remove(&image.image_id)?)))
            .unzip();
        let validation: Vec<usize> = validation;
        // Behind those of the train split.
        let mut behind: HashMap<i64, Vec<usize>> = HashMap::new();
        for caption in others {
            if caption.split == validation_split {
                behind
                    .entry(caption.image_id)
                    .or_default()
                    .push(captions.len());
                captions.push(caption);
            }
        }
        let captions_of_validation = (validation.iter())
            .map(|image| {
                behind
                    .remove(&dataset.images()[*image].image_id)
                    .unwrap_or_default()
            })
            .collect();
        Ok(Data {
            dataset,
            source,
            image_of_caption,
            captions,
            validation,
            captions_of_validation,
            references,
        })
    }

    /// The record of an image, by index.
    pub fn image(&self, index: usize) -> &ImageRecord {
        &self.dataset.images()[index]
    }

    /// The pixels of an image, as the model gets them.
    ///
    /// # Errors
    /// [`Error::Refused`] if its shard is damaged.
    pub fn photograph(&self, index: usize) -> Result<Photograph> {
        let planes = self.dataset.pixels(self.image(index))?;
        let [height, width] = self.dataset.image_size();
        let (red, rest) = planes.split_at(height * width);
        let (green, blue) = rest.split_at(height * width);
        let pixels = red.iter().zip(green).zip(blue);
        let (width, height) = (width as u32, height as u32);
        Ok(Photograph {
            width,
            height,
            full: (width, height),
            rgbx: pixels.flat_map(|((r, g), b)| [*r, *g, *b, 255]).collect(),
        })
    }

    /// The images that have captions in the train split, by index in ascending order, and the
    /// human captions of each.
    pub fn train_references(&self) -> Described {
        let mut images = self.image_of_caption.clone();
        images.sort_unstable();
        images.dedup();
        let mut of_image: HashMap<i64, Vec<String>> = HashMap::new();
        for record in self.dataset.captions() {
            let of_image = of_image.entry(record.image_id).or_default();
            of_image.push(record.caption.clone());
        }
        let captions = images.iter().map(|image| {
            let captions = of_image.remove(&self.image(*image).image_id);
            captions.unwrap_or_default()
        });
        let captions = captions.collect();
        (images, captions)
    }

    /// The encoder's native grid, if the images are features.
    pub fn grid(&self) -> Option<[i64; 2]> {
        match &self.source {
            ImageInput::Features(features) => Some(features.grid().map(|n| n as i64)),
            ImageInput::Pixels => None,
        }
    }

    /// Number of views of each image of the train split.
    pub fn views(&self) -> usize {
        match &self.source {
            ImageInput::Features(features) => features.views(),
            ImageInput::Pixels => 1,
        }
    }

    /// The tensor of the groups' images: features (n, cells, channels) f16 or f32, or pixels
    /// (n, 3, H, W) u8.
    ///
    /// # Errors
    /// [`Error::Internal`] if an image is missing.
    pub fn gather(&self, groups: &[Group]) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(groups.len());
        for group in groups {
            let image = self.image(group.image);
            let row = match &self.source {
                ImageInput::Features(features) => features.view(image.image_id, group.view),
                ImageInput::Pixels => Some(self.dataset.pixels(image)?),
            };
            let row = row.ok_or_else(|| {
                Error::internal(format!("no features of image {}", image.image_id))
            })?;
            will_need(row);
            rows.push(row);
        }
        let (shape, dtype) = match &self.source {
            ImageInput::Features(features) => {
                let [height, width] = features.grid();
                (vec![height * width, features.channels()], features.dtype())
            }
            ImageInput::Pixels => {
                let [height, width] = self.dataset.image_size();
                (vec![3, height, width], Dtype::U8)
            }
        };
        let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        gather(&rows, &shape, dtype).map_err(Error::internal)
    }

    /// Some of the validation images with all their captions, by their places in
    /// [`Data::validation`].
    pub fn validation_groups(&self, places: std::ops::Range<usize>) -> Vec<Group> {
        let group = |place: usize| Group {
            image: self.validation[place],
            captions: self.captions_of_validation[place].clone(),
            view: 0,
        };
        places.map(group).collect()
    }

    /// Assembles a batch.
    ///
    /// # Errors
    /// Those of [`Data::gather`].
    pub fn batch(&self, groups: &[Group]) -> Result<Batch> {
        let mut captions: Vec<(i64, &[i32])> = groups
            .iter()
            .zip(0..)
            .flat_map(|(group, n)| {
                group
                    .captions
                    .iter()
                    .map(move |caption| (n, self.captions[*caption].tokens.as_slice()))
            })
            .collect();
        captions.sort_by_key(|(_, tokens)| std::cmp::Reverse(tokens.len()));
        let (image_of_caption, captions): (Vec<i64>, Vec<&[i32]>) = captions.into_iter().unzip();
        let (tokens, lengths) = padded(&captions);
        Ok(Batch {
            images: self.gather(groups)?,
            image_of_caption,
            tokens,
            lengths,
        })
    }
}

/// Captions of a batch, the longest first: their tokens, padded with 0, which is `<pad>`, i64
/// (B, L), and the number of tokens of each.
pub fn padded<T: Copy + Into<i64>>(captions: &[&[T]]) -> (Tensor, Vec<i64>) {
    let longest = captions.first().map_or(0, |tokens| tokens.len());
    let mut padded = vec![0i64; captions.len() * longest];
    for (row, tokens) in padded.chunks_mut(longest.max(1)).zip(captions) {
        let cells = row.iter_mut().zip(*tokens);
        cells.for_each(|(cell, token)| *cell = (*token).into());
    }
    let size = [captions.len() as i64, longest as i64];
    let lengths = captions.iter().map(|tokens| tokens.len() as i64);
    (Tensor::from_slice(&padded).view(size), lengths.collect())
}

/// Removes the captions of the images of a split that have a sentence of the train split.
fn keep_new(
    of_image: &mut HashMap<i64, Vec<String>>,
    dataset: &Dataset,
    split: &str,
    tokenizer: Tokenizer,
) -> Result<()> {
    let is_of = |image: &&ImageRecord, split: &str| image.split == split;
    let of_train = dataset
        .images()
        .iter()
        .filter(|image| is_of(image, "train"));
    let known: HashSet<Vec<String>> = of_train
        .filter_map(|image| of_image.get(&image.image_id))
        .flatten()
        .map(|caption| tokenizer.words(caption))
        .collect();
    let (mut all, mut new) = (0, 0);
    for image in dataset.images().iter().filter(|image| is_of(image, split)) {
        let Some(captions) = of_image.get(&image.image_id) else {
            continue;
        };
        all += 1;
        match captions
            .iter()
            .any(|caption| known.contains(&tokenizer.words(caption)))
        {
            true => drop(of_image.remove(&image.image_id)),
            false => new += 1,
        }
    }
    tracing::info!("validation on {new} of the {all} images of {split}, whose sentences are new");
    match new {
        0 => Err(Error::input(format!(
            "each image of split {split:?} has a sentence of the train split; set train.validation_new = false, or name another split (train.validation_split)"
        ))),
        _ => Ok(()),
    }
}
