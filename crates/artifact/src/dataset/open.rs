//! Opens a data set.

use super::check;
use super::rows::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
use crate::findings::Findings;
use crate::shard::{Dtype, TensorShard};
use crate::{Artifact, manifest};
use attend_program::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Shards by name.
pub(super) type Shards = BTreeMap<String, TensorShard>;

/// An open dataset artifact: tables in memory, pixels memory-mapped.
pub struct Dataset {
    images: Vec<ImageRecord>,
    captions: Vec<CaptionRecord>,
    objects: Vec<ObjectRecord>,
    rejected: Vec<RejectedRecord>,
    shards: Shards,
    size: [usize; 2],
}

impl Dataset {
    /// Opens the tables and maps the shards.
    ///
    /// # Errors
    /// [`Error::Refused`] if a file does not follow the contract.
    pub fn open(artifact: &Artifact) -> Result<Dataset> {
        let mut findings = Findings::new(artifact, false);
        let dataset = Dataset::examine(&mut findings)?;
        findings.refuse().map(|()| dataset)
    }

    /// Opens it, and notes everything that does not follow the contract. What can't be read
    /// is left out.
    pub(crate) fn examine(findings: &mut Findings) -> Result<Dataset> {
        let side = |name| findings.artifact.count(name) as usize;
        let size = [side("image_height"), side("image_width")];
        if size.contains(&0) {
            let why = "\"counts\" lack image_height or image_width";
            findings.note(manifest::FILE, why);
        }
        let (shards, unreadable) = shards(findings, size)?;
        let images = findings.table("images.parquet")?;
        let captions = findings.table("captions.parquet")?;
        let objects = findings.table("objects.parquet")?;
        let rejected = findings.table("rejected.parquet")?;
        if let Some(images) = &images {
            check::images(findings, images, &shards, &unreadable);
            let known = check::known(images);
            if let Some(captions) = &captions {
                check::captions(findings, captions, &known);
            }
            if let Some(objects) = &objects {
                check::objects(findings, objects, &known);
            }
        }
        if let Some(rejected) = &rejected {
            check::rejected(findings, rejected);
        }
        Ok(Dataset {
            images: images.unwrap_or_default(),
            captions: captions.unwrap_or_default(),
            objects: objects.unwrap_or_default(),
            rejected: rejected.unwrap_or_default(),
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

/// Maps the shards, and returns the names of those that are not of images of this height and
/// width.
fn shards(findings: &mut Findings, size: [usize; 2]) -> Result<(Shards, BTreeSet<String>)> {
    let (mut shards, mut unreadable) = (Shards::new(), BTreeSet::new());
    let names = findings
        .artifact
        .manifest
        .files
        .iter()
        .map(|file| &file.name);
    let names: Vec<&String> = names.filter(|name| name.starts_with("shards/")).collect();
    for name in names {
        let Some(path) = findings.file(name)? else {
            unreadable.insert(name.clone());
            continue;
        };
        let Some(shard) = findings.take(TensorShard::open(&path))? else {
            unreadable.insert(name.clone());
            continue;
        };
        findings.rows(name, shard.rows());
        if shard.column() != "image" {
            let why = format!("its tensors are called {:?}, not image", shard.column());
            findings.note(name, why);
        }
        let expected = [3, size[0], size[1]];
        if (shard.dtype(), shard.shape()) == (Dtype::U8, &expected) {
            shards.insert(name.clone(), shard);
            continue;
        }
        let (dtype, shape) = (shard.dtype().name(), shard.shape());
        let why = format!("has images of {dtype} {shape:?}, but the manifest says u8 {expected:?}");
        findings.note(name, why);
        unreadable.insert(name.clone());
    }
    Ok((shards, unreadable))
}
