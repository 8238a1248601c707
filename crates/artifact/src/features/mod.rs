//! The `features` artifact: the output of a frozen encoder for every image.
//!
//! | file | holds |
//! |---|---|
//! | `shards/{split}-{00000}.arrow` | `image_id`, `features` f16 or f32 [cells, channels] ([`crate::shard`]); cells row by row of the encoder's native grid |
//! | `encoder.json` | the encoder, which describing new photographs needs ([`EncoderConfig`]) |
//! | `encoder.safetensors`, or `encoder.pt`, or neither | its weights, its TorchScript module, or nothing of a foreign network |
//!
//! Counts: `images`, `grid_height`, `grid_width`, `channels`.

use crate::findings::Findings;
use crate::model::EncoderConfig;
use crate::shard::{Dtype, TensorShard};
use crate::{Artifact, manifest};
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
        let mut findings = Findings::new(artifact, false);
        let features = Features::examine(&mut findings)?;
        findings.refuse().map(|()| features)
    }

    /// Maps all shards, and notes everything that does not follow the contract. Leaves out
    /// shards that can't be read or have another shape. Looks at all numbers if every byte is
    /// to be read.
    pub(crate) fn examine(findings: &mut Findings) -> Result<Features> {
        let artifact = findings.artifact;
        let count = |name| artifact.count(name) as usize;
        let grid = [count("grid_height"), count("grid_width")];
        let channels = count("channels");
        let mut features = Features {
            root: artifact.root.clone(),
            shards: Vec::new(),
            rows: HashMap::new(),
            grid,
            channels,
            dtype: Dtype::F32,
        };
        findings.needs_dataset();
        let cells = grid[0].checked_mul(grid[1]).unwrap_or_default();
        if cells == 0 || channels == 0 {
            let why = format!("features of {grid:?} cells and {channels} channels");
            findings.note(manifest::FILE, why);
        }
        let promised = artifact.manifest.config.pointer("/features/dtype");
        let mut promised = (promised.and_then(|dtype| dtype.as_str()))
            .filter(|dtype| ["f16", "f32"].contains(dtype));
        let names = artifact.manifest.files.iter().map(|file| &file.name);
        let names: Vec<&String> = names.filter(|name| name.starts_with("shards/")).collect();
        for name in &names {
            let Some(path) = findings.file(name)? else {
                continue;
            };
            let Some(shard) = findings.take(TensorShard::open(&path))? else {
                continue;
            };
            findings.rows(name, shard.rows());
            if shard.column() != "features" {
                let why = format!("its tensors are called {:?}, not features", shard.column());
                findings.note(name, why);
            }
            let (dtype, shape) = (shard.dtype().name(), shard.shape());
            let good = dtype != "u8" && promised.is_none_or(|promised| promised == dtype);
            if shape != [cells, channels] || !good {
                let promised = promised.unwrap_or("one float type");
                let why = format!(
                    "features {shape:?} of {dtype}, expected [{cells}, {channels}] of {promised}"
                );
                findings.note(name, why);
                continue;
            }
            features.dtype = shard.dtype();
            promised = Some(shard.dtype().name());
            features.take(name, shard, findings)?;
        }
        if features.shards.len() == names.len() {
            findings.count("shards", "images", features.ids().count());
        }
        Ok(features)
    }

    /// Takes a shard.
    fn take(&mut self, name: &str, shard: TensorShard, findings: &mut Findings) -> Result<()> {
        let index = self.shards.len();
        let mut twice = Vec::new();
        for (row, id) in shard.ids().iter().enumerate() {
            if self.rows.insert(*id, (index, row)).is_some() {
                twice.push(format!("image {id}"));
            }
        }
        findings.all(name, "images have features already", twice);
        if findings.thorough {
            let strange = strange(&shard)?;
            let strange = strange.into_iter().map(|id| format!("image {id}"));
            findings.all(
                name,
                "images have features that are NaN or infinite",
                strange,
            );
        }
        self.shards.push((name.to_owned(), shard));
        Ok(())
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
            manifest::FILE,
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
    pub fn check_finite(&self) -> Result<()> {
        for (name, shard) in &self.shards {
            if let Some(id) = strange(shard)?.first() {
                let why = format!("the features of image {id} are NaN or infinite");
                return Err(self.wrong(name, &why));
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

    /// The shards and their names.
    pub(crate) fn shards(&self) -> &[(String, TensorShard)] {
        &self.shards
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

/// The images of a shard whose numbers are infinite or NaN.
fn strange(shard: &TensorShard) -> Result<Vec<i64>> {
    let mut strange = Vec::new();
    for (row, id) in shard.ids().iter().enumerate() {
        check_interrupt()?;
        if !(shard.row(row)).is_some_and(|numbers| shard.dtype().all_finite(numbers)) {
            strange.push(*id);
        }
    }
    Ok(strange)
}
