//! The `features` artifact: what a frozen encoder makes of every image, once.
//!
//! | file | holds |
//! |---|---|
//! | `shards/{split}-{00000}.arrow` | `image_id`, `features` f16 or f32 [cells, channels] ([`crate::shard`]); cells row by row of the encoder's native grid |
//! | `encoder.json`, `encoder.safetensors` | the encoder: with it a new photograph can be described |
//!
//! Counts: `images`, `grid_height`, `grid_width`, `channels`.

use crate::shard::{Dtype, TensorShard};
use crate::{Artifact, Error, Result};
use std::collections::HashMap;

/// A features artifact, opened: memory-mapped.
pub struct Features {
    shards: Vec<TensorShard>,
    /// image -> (shard, row)
    rows: HashMap<i64, (usize, usize)>,
    grid: [usize; 2],
    channels: usize,
    dtype: Dtype,
}

impl Features {
    /// Maps all shards.
    ///
    /// # Errors
    /// [`Error::Refused`] where a file is not what the contract says.
    pub fn open(artifact: &Artifact) -> Result<Features> {
        let grid = [
            artifact.count("grid_height") as usize,
            artifact.count("grid_width") as usize,
        ];
        let channels = artifact.count("channels") as usize;
        let mut features = Features {
            shards: Vec::new(),
            rows: HashMap::new(),
            grid,
            channels,
            dtype: Dtype::F32,
        };
        for file in artifact
            .manifest
            .files
            .iter()
            .filter(|file| file.name.starts_with("shards/"))
        {
            let path = artifact.root.join(&file.name);
            let shard = TensorShard::open(&path)?;
            let first = features.shards.is_empty();
            if shard.shape() != [grid[0] * grid[1], channels]
                || shard.dtype() == Dtype::U8
                || (!first && shard.dtype() != features.dtype)
            {
                return Err(Error::refused(format!(
                    "{}: features {:?} of {:?}, expected [{}, {channels}] of one float type; make the artifact again",
                    path.display(),
                    shard.shape(),
                    shard.dtype(),
                    grid[0] * grid[1]
                )));
            }
            features.dtype = shard.dtype();
            let index = features.shards.len();
            features.rows.extend(
                shard
                    .ids()
                    .iter()
                    .enumerate()
                    .map(|(row, id)| (*id, (index, row))),
            );
            features.shards.push(shard);
        }
        Ok(features)
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
        self.shards.iter().flat_map(|shard| shard.ids()).copied()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The features of an image, [cells, channels] row-major, straight from the
    /// memory map.
    pub fn row(&self, image_id: i64) -> Option<&[u8]> {
        let (shard, row) = self.rows.get(&image_id)?;
        self.shards.get(*shard)?.row(*row)
    }
}
