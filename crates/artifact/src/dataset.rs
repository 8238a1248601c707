//! The `dataset` artifact: images of one size, their captions, and what was
//! left out.
//!
//! | file | columns |
//! |---|---|
//! | `images.parquet` | [`ImageRecord`] |
//! | `captions.parquet` | [`CaptionRecord`] |
//! | `objects.parquet` | [`ObjectRecord`]; without rows if the source has no boxes |
//! | `rejected.parquet` | [`RejectedRecord`] |
//! | `shards/{split}-{00000}.arrow` | `image_id`, `image` uint8 [3, H, W] ([`crate::shard`]) |

use crate::record::record;
use crate::shard::TensorShard;
use crate::{Artifact, Record};
use attend_program::{Error, Result};
use std::collections::HashMap;

/// One image of the data set.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRecord {
    /// Identity in the source (COCO's `id`).
    pub image_id: i64,
    /// `train`, `val`, `test`, …
    pub split: String,
    /// Name of the image file in the source.
    pub file_name: String,
    /// Original width in pixels.
    pub width: u32,
    /// Original height in pixels.
    pub height: u32,
    /// The shard that holds its pixels, such as `shards/train-00000.arrow`.
    pub shard: String,
    /// Its row in that shard.
    pub row: u32,
}

record!(ImageRecord {
    image_id: Int64Array as Int64,
    split: StringArray as Utf8,
    file_name: StringArray as Utf8,
    width: UInt32Array as UInt32,
    height: UInt32Array as UInt32,
    shard: StringArray as Utf8,
    row: UInt32Array as UInt32,
});

/// One caption of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionRecord {
    /// Identity in the source.
    pub caption_id: i64,
    /// The image that it describes.
    pub image_id: i64,
    /// The image's split.
    pub split: String,
    /// The text as people wrote it.
    pub caption: String,
}

record!(CaptionRecord {
    caption_id: Int64Array as Int64,
    image_id: Int64Array as Int64,
    split: StringArray as Utf8,
    caption: StringArray as Utf8,
});

/// One object seen in an image, with its box in fractions of the image's width
/// and height, from the left upper corner.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRecord {
    /// The image that it is in.
    pub image_id: i64,
    /// Its category, such as `dog`.
    pub name: String,
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

record!(ObjectRecord {
    image_id: Int64Array as Int64,
    name: StringArray as Utf8,
    x: Float32Array as Float32,
    y: Float32Array as Float32,
    width: Float32Array as Float32,
    height: Float32Array as Float32,
});

/// One image, caption or box that was left out, and why; see [`crate::ledger`].
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRecord {
    /// `image`, `caption` or `box`.
    pub kind: String,
    /// Identity of the image, the caption or the box's annotation.
    pub id: i64,
    /// The image concerned.
    pub image_id: i64,
    /// Name of the image file, empty if unknown.
    pub file_name: String,
    /// A stable reason code, such as `truncated` ([`crate::ledger::Reason`]).
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
}

record!(RejectedRecord {
    kind: StringArray as Utf8,
    id: Int64Array as Int64,
    image_id: Int64Array as Int64,
    file_name: StringArray as Utf8,
    reason: StringArray as Utf8,
    detail: StringArray as Utf8,
});

/// An open dataset artifact: tables in memory, pixels memory-mapped.
pub struct Dataset {
    images: Vec<ImageRecord>,
    captions: Vec<CaptionRecord>,
    objects: Vec<ObjectRecord>,
    rejected: Vec<RejectedRecord>,
    shards: HashMap<String, TensorShard>,
    size: [usize; 2],
}

impl Dataset {
    /// Opens the tables and maps the shards.
    ///
    /// # Errors
    /// [`Error::Refused`] if a file does not follow the contract.
    pub fn open(artifact: &Artifact) -> Result<Dataset> {
        let images = ImageRecord::read(&artifact.file("images.parquet")?)?;
        let size = [
            artifact.count("image_height") as usize,
            artifact.count("image_width") as usize,
        ];
        let mut shards = HashMap::new();
        for file in artifact
            .manifest
            .files
            .iter()
            .filter(|file| file.name.starts_with("shards/"))
        {
            let shard = TensorShard::open(&artifact.root.join(&file.name))?;
            if shard.shape() != [3, size[0], size[1]] {
                return Err(Error::refused(format!(
                    "{}: has images of {:?}, but the manifest says [3, {}, {}]",
                    artifact.root.join(&file.name).display(),
                    shard.shape(),
                    size[0],
                    size[1]
                )));
            }
            shards.insert(file.name.clone(), shard);
        }
        if let Some(image) = images.iter().find(|image| {
            shards
                .get(&image.shard)
                .and_then(|shard| shard.ids().get(image.row as usize))
                != Some(&image.image_id)
        }) {
            return Err(Error::refused(format!(
                "{}: image {} is not in row {} of {}; make the artifact again",
                artifact.root.join("images.parquet").display(),
                image.image_id,
                image.row,
                image.shard
            )));
        }
        Ok(Dataset {
            images,
            captions: CaptionRecord::read(&artifact.file("captions.parquet")?)?,
            objects: ObjectRecord::read(&artifact.file("objects.parquet")?)?,
            rejected: RejectedRecord::read(&artifact.file("rejected.parquet")?)?,
            shards,
            size,
        })
    }

    /// All images: by split (train, val, test, others), then as in the source.
    pub fn images(&self) -> &[ImageRecord] {
        &self.images
    }

    /// All captions, in the order of their images.
    pub fn captions(&self) -> &[CaptionRecord] {
        &self.captions
    }

    /// The boxes of objects, if the source has any.
    pub fn objects(&self) -> &[ObjectRecord] {
        &self.objects
    }

    /// The images, captions and boxes that were left out.
    pub fn rejected(&self) -> &[RejectedRecord] {
        &self.rejected
    }

    /// The shards, by name.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (&str, &TensorShard)> {
        self.shards
            .iter()
            .map(|(name, shard)| (name.as_str(), shard))
    }

    /// Height and width of all images, in pixels.
    pub fn image_size(&self) -> [usize; 2] {
        self.size
    }

    /// Pixels of an image: uint8 [3, H, W], straight from the memory map.
    ///
    /// # Errors
    /// [`Error::Internal`] for an image of another data set.
    pub fn pixels(&self, image: &ImageRecord) -> Result<&[u8]> {
        self.shards
            .get(&image.shard)
            .and_then(|shard| shard.row(image.row as usize))
            .ok_or_else(|| {
                Error::internal(format!(
                    "image {} has no row {} in {}",
                    image.image_id, image.row, image.shard
                ))
            })
    }

    /// The images of one split.
    ///
    /// # Errors
    /// [`Error::Input`], naming the splits that exist, if there are none.
    pub fn split(&self, split: &str) -> Result<Vec<&ImageRecord>> {
        let images: Vec<&ImageRecord> = self
            .images
            .iter()
            .filter(|image| image.split == split)
            .collect();
        if images.is_empty() {
            let mut splits: Vec<&str> = self
                .images
                .iter()
                .map(|image| image.split.as_str())
                .collect();
            splits.dedup();
            return Err(Error::input(format!(
                "the data set has no image in split {split:?} (dataset.splits can call one so); it has {}",
                if splits.is_empty() {
                    "none at all".to_owned()
                } else {
                    splits.join(", ")
                }
            )));
        }
        Ok(images)
    }
}
