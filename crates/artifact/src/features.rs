//! The `features` artifact: the output of a frozen encoder for every image.
//!
//! | file | holds |
//! |---|---|
//! | `shards/{split}-{00000}.arrow` | `image_id`, `features` f16 or f32 [cells, channels] ([`crate::shard`]); cells row by row of the encoder's native grid |
//! | `encoder.json` | the encoder, which describing new photographs needs ([`EncoderConfig`]) |
//! | `encoder.safetensors`, or `encoder.pt`, or neither | its weights, its TorchScript module, or nothing of a foreign network |
//!
//! Counts: `images`, `grid_height`, `grid_width`, `channels`.

use crate::Artifact;
use crate::model::EncoderConfig;
use crate::shard::{Dtype, TensorShard};
use attend_program::{Error, Result, check_interrupt};
use std::collections::HashMap;
use std::path::PathBuf;

/// An open features artifact, memory-mapped.
pub struct Features {
    root: PathBuf,
    /// Name and content of each shard.
    shards: Vec<(String, TensorShard)>,
    /// image -> (shard, row)
    rows: HashMap<i64, (usize, usize)>,
    grid: [usize; 2],
    channels: usize,
    dtype: Dtype,
}

impl Features {
    /// Maps all shards, and compares them with the manifest.
    ///
    /// # Errors
    /// [`Error::Refused`] if a file does not follow the contract.
    pub fn open(artifact: &Artifact) -> Result<Features> {
        let count = |name| artifact.count(name) as usize;
        let grid = [count("grid_height"), count("grid_width")];
        let channels = count("channels");
        let cells = grid[0].checked_mul(grid[1]).unwrap_or_default();
        let mut features = Features {
            root: artifact.root.clone(),
            shards: Vec::new(),
            rows: HashMap::new(),
            grid,
            channels,
            dtype: Dtype::F32,
        };
        if cells == 0 || channels == 0 {
            return Err(features.wrong(
                crate::manifest::FILE,
                &format!("features of {grid:?} cells and {channels} channels"),
            ));
        }
        let promised = artifact.manifest.config.pointer("/features/dtype");
        let promised = promised.and_then(|dtype| dtype.as_str());
        let promised = promised.filter(|dtype| ["f16", "f32"].contains(dtype));
        for file in artifact
            .manifest
            .files
            .iter()
            .filter(|file| file.name.starts_with("shards/"))
        {
            let shard = TensorShard::open(&artifact.root.join(&file.name))?;
            let dtype = match shard.dtype() {
                Dtype::U8 => "u8",
                Dtype::F16 => "f16",
                Dtype::F32 => "f32",
            };
            let other = !features.shards.is_empty() && shard.dtype() != features.dtype;
            if shard.shape() != [cells, channels]
                || dtype == "u8"
                || other
                || promised.is_some_and(|promised| promised != dtype)
            {
                return Err(features.wrong(
                    &file.name,
                    &format!(
                        "features {:?} of {dtype}, expected [{cells}, {channels}] of {}",
                        shard.shape(),
                        promised.unwrap_or("one float type"),
                    ),
                ));
            }
            if file.rows.is_some_and(|rows| rows != shard.rows() as u64) {
                let why = format!(
                    "{} rows, but the manifest says {:?}",
                    shard.rows(),
                    file.rows
                );
                return Err(features.wrong(&file.name, &why));
            }
            features.dtype = shard.dtype();
            let index = features.shards.len();
            for (row, id) in shard.ids().iter().enumerate() {
                if features.rows.insert(*id, (index, row)).is_some() {
                    return Err(
                        features.wrong(&file.name, &format!("image {id} has features twice"))
                    );
                }
            }
            features.shards.push((file.name.clone(), shard));
        }
        Ok(features)
    }

    /// Compares the features with their encoder's output for images of this height and width:
    /// the grid's height and width, and the channels.
    ///
    /// # Errors
    /// [`Error::Refused`] if they differ, or the encoder takes other images.
    pub fn check_encoder(&self, encoder: &EncoderConfig, image_size: [i64; 2]) -> Result<()> {
        (encoder.check_images(image_size)).map_err(|why| self.wrong("encoder.json", &why))?;
        let (grid, channels) = (encoder.grid(image_size), encoder.channels());
        let found = (self.grid.map(|n| n as i64), self.channels as i64);
        if found == (grid, channels) {
            return Ok(());
        }
        let [[height, width], [h, w]] = [found.0, grid];
        Err(self.wrong(
            crate::manifest::FILE,
            &format!(
                "features of {height} x {width} cells and {} channels, but the encoder of encoder.json makes {h} x {w} cells and {channels} channels of this data set's images",
                found.1
            ),
        ))
    }

    /// Reads all features, and looks for invalid numbers: infinite or NaN.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the first image that has such numbers, and its shard;
    /// [`Error::Interrupted`].
    #[expect(
        clippy::expect_used,
        reason = "a shard without a row for each id is refused"
    )]
    pub fn check_finite(&self) -> Result<()> {
        for (name, shard) in &self.shards {
            for (row, id) in shard.ids().iter().enumerate() {
                check_interrupt()?;
                let numbers = shard.row(row).expect("a row for each id");
                if !self.dtype.all_finite(numbers) {
                    let why = format!("the features of image {id} are NaN or infinite");
                    return Err(self.wrong(name, &why));
                }
            }
        }
        Ok(())
    }

    fn wrong(&self, file: &str, why: &str) -> Error {
        Error::refused(format!(
            "{}: {why}; make the artifact again",
            self.root.join(file).display()
        ))
    }

    /// Height and width of the encoder's native grid, in cells.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }

    /// Channels of a cell.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Type of the numbers: [`Dtype::F16`] or [`Dtype::F32`].
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The image of each row of each shard.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.shards
            .iter()
            .flat_map(|(_, shard)| shard.ids())
            .copied()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The features of an image, [cells, channels] row-major, straight from the
    /// memory map.
    pub fn row(&self, image_id: i64) -> Option<&[u8]> {
        let (shard, row) = self.rows.get(&image_id)?;
        self.shards.get(*shard)?.1.row(*row)
    }
}
