//! The stage `attend-hdf5 import`: makes a data set from the tutorial's files.

use crate::tutorial::{Split, Tutorial};
use attend_artifact::dataset::{CaptionRecord, ImageRecord, RejectedRecord};
use attend_artifact::ledger::Reason;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::tables::{Tables, is_split_name, shard_file, split_order};
use attend_artifact::{Input, Piece, Stage, StageSpec, Staging};
use attend_program::describe::{Checked, Parts};
use attend_program::{Error, Progress, Result, check_interrupt, progress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The stage's name, inputs and output.
pub const SPEC: StageSpec = StageSpec {
    name: "attend-hdf5",
    version: env!("CARGO_PKG_VERSION"),
    about: "Makes a dataset artifact from the PyTorch tutorial's HDF5 and JSON files",
    inputs: &[],
    output: "dataset",
    parts: Parts::Shards,
    // Paths of the files; their contents are recorded by digest.
    unrecorded: &["dataset.root", "dataset.annotations"],
    paths: &["dataset.root", "dataset.annotations"],
    extends: false,
};

/// The sections that this stage reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `[dataset]`
    pub dataset: Section,
}

/// `[dataset]`: what to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// Folder that `create_input_files.py` wrote to. Not recorded in the manifest.
    pub root: String,
    /// Name of the `WORDMAP_*.json`, needed if the folder has several. Not recorded, but
    /// its content is.
    pub annotations: String,
    /// New names for splits, such as `{ dev = "val" }`.
    pub splits: BTreeMap<String, String>,
    /// Images per shard.
    pub shard_size: usize,
}

impl Default for Section {
    fn default() -> Self {
        Section {
            root: String::new(),
            annotations: String::new(),
            splits: BTreeMap::new(),
            shard_size: 1024,
        }
    }
}

/// An image of the data set.
struct Image<'a> {
    id: i64,
    split: &'a str,
    source: &'a Split,
    /// The row in the file of images.
    row: usize,
    /// The captions, with their ids.
    captions: Vec<(i64, &'a str)>,
}

impl Image<'_> {
    fn file_name(&self) -> String {
        format!("{}/{}", self.source.file, self.row)
    }
}

/// Reads the JSON files, and opens the HDF5 files.
///
/// # Errors
/// Those that [`import`] would return before it reads an image.
pub fn check(stage: &Stage<Config>) -> Result<Checked> {
    let tutorial = tutorial(&stage.config.dataset)?;
    let splits = tutorial.splits.iter().map(|split| split.name.clone());
    Ok(Checked {
        splits: Some(splits.collect()),
        ..Checked::default()
    })
}

fn tutorial(section: &Section) -> Result<Tutorial> {
    if section.root.is_empty() {
        return Err(Error::usage(
            "dataset.root is empty; name the folder that create_input_files.py wrote to",
        ));
    }
    if section.shard_size == 0 {
        return Err(Error::usage("dataset.shard_size must be at least 1 image"));
    }
    Tutorial::read(Path::new(&section.root), &section.annotations)
}

/// Runs the stage.
///
/// # Errors
/// A message for the user, classified by who can fix the cause.
pub fn import(stage: &Stage<Config>) -> Result<()> {
    let section = &stage.config.dataset;
    let tutorial = tutorial(section)?;
    let mut tables = Tables::default();
    let images = images(&tutorial, section, &mut tables.rejected)?;
    let shards: Vec<(Piece, &[Image<'_>])> = images
        .chunk_by(|a, b| a.split == b.split)
        .flat_map(|split| split.chunks(section.shard_size).enumerate())
        .map(|(number, images)| (piece(number, images), images))
        .collect();
    let pieces: Vec<Piece> = shards.iter().map(|(piece, _)| piece.clone()).collect();
    let inputs = tutorial.inputs.iter();
    let inputs: Vec<(&str, Input)> = inputs
        .map(|(role, input)| (role.as_str(), input.clone()))
        .collect();
    let Some(staging) = stage.begin_pieces(&inputs, &pieces)? else {
        return Ok(());
    };
    let to_make = staging.to_make(&pieces)?;
    let progress = progress("import", "images", images.len() as u64);
    for (piece, images) in &shards {
        match to_make.contains(&piece) {
            true => write_shard(&staging, piece, images, tutorial.side, &progress)?,
            false => progress.skip(images.len() as u64),
        }
    }
    progress.finish();
    if staging.is_task() {
        let count = to_make.len();
        tracing::info!("{count} shards are done; --finalize combines them into the data set");
        return Ok(());
    }
    for (piece, images) in &shards {
        for (row, image) in (0..).zip(*images) {
            enter(&mut tables, image, &piece.name, row, tutorial.side as u32);
        }
    }
    tables.commit(staging, tutorial.side as u32)
}

/// The images that have a caption, by split. Images and captions are numbered from 0
/// across all splits, in the tutorial's order.
fn images<'a>(
    tutorial: &'a Tutorial,
    section: &'a Section,
    rejected: &mut Vec<RejectedRecord>,
) -> Result<Vec<Image<'a>>> {
    let mut images = Vec::new();
    let (mut image_ids, mut caption_ids) = (0.., 0..);
    for source in &tutorial.splits {
        let split = section.splits.get(&source.name).unwrap_or(&source.name);
        if !is_split_name(split) {
            return Err(Error::usage(format!(
                "{}: split {split:?}: use letters, digits, - and _, or call it otherwise: dataset.splits = {{ {:?} = \"val\" }}",
                source.file, source.name
            )));
        }
        let captions = source.captions.chunks(source.captions_per_image);
        for ((row, captions), id) in captions.enumerate().zip(&mut image_ids) {
            let mut image = Image {
                id,
                split,
                source,
                row,
                captions: Vec::new(),
            };
            let file_name = image.file_name();
            for (caption, caption_id) in captions.iter().zip(&mut caption_ids) {
                if caption.trim().is_empty() {
                    let (reason, detail) = (Reason::EmptyCaption, "nothing that shows");
                    rejected.push(RejectedRecord::caption(
                        caption_id, id, &file_name, reason, detail,
                    ));
                } else {
                    image.captions.push((caption_id, caption));
                }
            }
            if image.captions.is_empty() {
                let (reason, detail) = (Reason::NoCaption, "no caption that can be used");
                rejected.push(RejectedRecord::image(id, &file_name, reason, detail));
            } else {
                images.push(image);
            }
        }
    }
    if images.is_empty() {
        return Err(Error::input(format!(
            "{}: not one image has a caption",
            section.root
        )));
    }
    images.sort_by_key(|image| split_order(image.split));
    Ok(images)
}

/// A shard as a part of the artifact.
fn piece(number: usize, images: &[Image<'_>]) -> Piece {
    let mut hasher = blake3::Hasher::new();
    for image in images {
        hasher.update(image.file_name().as_bytes());
        for number in image.source.images.state {
            hasher.update(&number.to_le_bytes());
        }
    }
    Piece {
        name: shard_file(images[0].split, number),
        sources: hasher.finalize().to_hex().to_string(),
    }
}

fn write_shard(
    staging: &Staging,
    piece: &Piece,
    images: &[Image<'_>],
    side: usize,
    progress: &Progress,
) -> Result<()> {
    let path = staging.path(&piece.name)?;
    let shape = [3, side, side];
    let mut writer =
        TensorShardWriter::create(&path, "image", Dtype::U8, &shape, &["C", "H", "W"])?;
    for image in images {
        check_interrupt()?;
        writer.push(image.id, &image.source.images.read(image.row)?)?;
        progress.inc(1);
    }
    staging.shard_done(piece, writer.finish()?, None)
}

fn enter(tables: &mut Tables, image: &Image<'_>, shard: &str, row: u32, side: u32) {
    tables.images.push(ImageRecord {
        image_id: image.id,
        split: image.split.to_owned(),
        file_name: image.file_name(),
        width: side,
        height: side,
        shard: shard.to_owned(),
        row,
    });
    let captions = image.captions.iter();
    tables
        .captions
        .extend(captions.map(|(caption_id, caption)| CaptionRecord {
            caption_id: *caption_id,
            image_id: image.id,
            split: image.split.to_owned(),
            caption: (*caption).to_owned(),
        }));
}
