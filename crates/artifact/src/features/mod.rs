//! The `features` artifact: the output of a frozen encoder for every image.
//!
//! | file | holds |
//! |---|---|
//! | `shards/{split}-{00000}.arrow` | `image_id`, `features` f16 or f32 [cells, channels] ([`crate::shard`]); cells row by row of the encoder's native grid, or of `features.grid` of the config, to which they were pooled |
//! | `views/train-{00000}.arrow` | for each train shard, if there are further views: `image_id`, `features` [views - 1, cells, channels] of the image flipped and turned |
//! | `encoder.json` | the encoder, which describing new photographs needs ([`EncoderConfig`]) |
//! | `encoder.safetensors`, or `encoder.pt`, or neither | its weights, its TorchScript module, or nothing of a foreign network |
//!
//! Counts: `images`, `grid_height`, `grid_width`, `channels`; `views` if there are several, the
//! image itself among them.

mod shards;

pub use shards::view_shard;

use crate::dataset::parse_shard_file;
use crate::findings::Findings;
use crate::model::EncoderConfig;
use crate::shard::{Dtype, TensorShard};
use crate::{Artifact, manifest};
use attend_program::{Error, Result};
use serde_json::Value;
use shards::{VIEWS, note_strange, open, plain_shard, strange};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// An open features artifact, memory-mapped.
pub struct Features {
    root: PathBuf,
    /// Name and content of each shard.
    shards: Vec<(String, TensorShard)>,
    /// image -> (shard, row)
    rows: HashMap<i64, (usize, usize)>,
    /// Index of a shard -> name and content of that of its images' further views.
    turned: BTreeMap<usize, (String, TensorShard)>,
    views: usize,
    grid: [usize; 2],
    /// Whether the encoder's grid is another one.
    pooled: bool,
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
            turned: BTreeMap::new(),
            views: 1,
            grid,
            pooled: false,
            channels,
            dtype: Dtype::F32,
        };
        findings.needs_dataset();
        let cells = grid[0].checked_mul(grid[1]).unwrap_or_default();
        if cells == 0 || channels == 0 {
            let why = format!("features of {grid:?} cells and {channels} channels");
            findings.note(manifest::FILE, why);
        }
        if let Some(pooled) = pooled(&artifact.manifest.config) {
            features.pooled = true;
            if pooled != grid {
                let why = format!("features of {grid:?} cells, but its config says {pooled:?}");
                findings.note(manifest::FILE, why);
            }
        }
        let promised = artifact.manifest.config.pointer("/features/dtype");
        let mut promised = (promised.and_then(|dtype| dtype.as_str()))
            .filter(|dtype| ["f16", "f32"].contains(dtype));
        let names = artifact.manifest.files.iter().map(|file| &file.name);
        let (views, names): (Vec<&String>, Vec<&String>) = names
            .filter(|name| name.starts_with("shards/") || name.starts_with(VIEWS))
            .partition(|name| name.starts_with(VIEWS));
        for name in &names {
            let shape = [cells, channels];
            if let Some(shard) = open(name, &shape, &mut promised, findings)? {
                features.dtype = shard.dtype();
                features.take(name, shard, findings)?;
            }
        }
        if features.shards.len() == names.len() {
            findings.count("shards", "images", features.ids().count());
        }
        features.examine_views(&views, promised, findings)?;
        Ok(features)
    }

    /// The same of the shards of further views. All must have as many as the first that can be
    /// read, and all of the split `train` must have some.
    fn examine_views(
        &mut self,
        names: &[&String],
        mut promised: Option<&str>,
        findings: &mut Findings,
    ) -> Result<()> {
        let mut shards = names
            .iter()
            .map(|name| TensorShard::open(&self.root.join(name)));
        let further = shards.find_map(|shard| shard.ok()?.shape().first().copied());
        self.views = 1 + further.unwrap_or(0);
        let cells = self.grid[0].checked_mul(self.grid[1]).unwrap_or_default();
        let shape = [self.views - 1, cells, self.channels];
        for name in names {
            if let Some(shard) = open(name, &shape, &mut promised, findings)? {
                self.turn(name, shard, findings)?;
            }
        }
        findings.count("views", "views", self.views);
        let of_train = self.shards.iter().map(|(name, _)| name).filter(|name| {
            let split = parse_shard_file(name).map(|(split, _)| split);
            !names.is_empty() && split == Some("train")
        });
        for views in of_train.map(|name| view_shard(name)) {
            if !names.contains(&&views) {
                findings.note(&views, "there is none, but other images have further views");
            }
        }
        Ok(())
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
        note_strange(name, &shard, findings)?;
        self.shards.push((name.to_owned(), shard));
        Ok(())
    }

    /// Takes a shard of further views, which has the rows of another one.
    fn turn(&mut self, name: &str, shard: TensorShard, findings: &mut Findings) -> Result<()> {
        let plain = plain_shard(name);
        let of_plain = self.shards.iter().position(|(name, _)| *name == plain);
        note_strange(name, &shard, findings)?;
        match of_plain {
            Some(index) if self.shards[index].1.ids() == shard.ids() => {
                self.turned.insert(index, (name.to_owned(), shard));
            }
            _ => findings.note(name, format!("its images are not those of {plain}")),
        }
        Ok(())
    }

    /// Compares the features with their encoder's output for images of this height and width:
    /// the grid's height and width, and the channels.
    ///
    /// # Errors
    /// [`Error::Refused`] if they differ, or the encoder takes other images.
    pub fn check_encoder(&self, encoder: &EncoderConfig, image_size: [i64; 2]) -> Result<()> {
        (encoder.check_images(image_size)).map_err(|why| self.wrong("encoder.json", &why))?;
        let (mut grid, channels) = (encoder.grid(image_size), encoder.channels());
        if self.pooled {
            grid = self.grid.map(|n| n as i64);
        }
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
        for (name, shard) in self.shards.iter().chain(self.turned.values()) {
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

    /// Compares pooled features with the grid that a decoder looks at ([0, 0]: the encoder's
    /// own): of new photographs it gets the encoder's cells, which only that grid makes the
    /// same.
    ///
    /// # Errors
    /// The reason, without the artifact's name.
    pub fn check_decoder(&self, grid: [i64; 2]) -> Result<(), String> {
        let [height, width] = self.grid;
        match self.pooled && grid != [height as i64, width as i64] {
            true => Err(format!(
                "features that were pooled to {height} x {width} cells need decoder.grid = [{height}, {width}], not {grid:?}"
            )),
            false => Ok(()),
        }
    }

    /// Height and width of the grid, in cells: the encoder's native one, unless the features
    /// were pooled.
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

    /// Number of views of each image of the split `train`, itself among them.
    pub fn views(&self) -> usize {
        self.views
    }

    /// The features of a view of an image: 0 is the image itself ([`Features::row`]), and 1 to
    /// [`Features::views`] - 1 are flipped or turned.
    pub fn view(&self, image_id: i64, view: usize) -> Option<&[u8]> {
        let Some(index) = view.checked_sub(1) else {
            return self.row(image_id);
        };
        let (shard, row) = self.rows.get(&image_id)?;
        let all = self.turned.get(shard)?.1.row(*row)?;
        let bytes = all.len().checked_div(self.views - 1)?;
        all.get(index * bytes..(index + 1) * bytes)
    }

    /// The features of an image, [cells, channels] row-major, straight from the
    /// memory map.
    pub fn row(&self, image_id: i64) -> Option<&[u8]> {
        let (shard, row) = self.rows.get(&image_id)?;
        self.shards.get(*shard)?.1.row(*row)
    }
}

/// The grid to which features were pooled, if the config says that they were.
fn pooled(config: &Value) -> Option<[usize; 2]> {
    let grid: [usize; 2] =
        serde_json::from_value(config.pointer("/features/grid")?.clone()).ok()?;
    Some(grid).filter(|grid| *grid != [0, 0])
}
