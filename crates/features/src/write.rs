//! Runs the encoder over the images of each shard, and writes what it makes of them.

use crate::views;
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::features::view_shard;
use attend_artifact::shard::{Dtype, TensorShardWriter, WrittenShard};
use attend_artifact::{Piece, Staging};
use attend_model::{Cells, FrozenEncoder, gather};
use attend_program::text::escaped;
use attend_program::{Error, Progress, Result, check_interrupt, progress};
use crossbeam::channel::{Receiver, bounded};
use std::collections::BTreeMap;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// What is made of each shard's images: features are sharded like the data set.
pub(crate) fn shards(dataset: &Dataset, views: usize) -> BTreeMap<String, Of<'_>> {
    let mut shards: BTreeMap<String, Of> = BTreeMap::new();
    let mut add = |name: String, views: Range<usize>, image| {
        let of = shards.entry(name).or_insert_with(|| Of {
            views,
            images: Vec::new(),
        });
        of.images.push(image);
    };
    for image in dataset.images() {
        add(image.shard.clone(), 0..1, image);
        if views > 1 && image.split == "train" {
            add(view_shard(&image.shard), 1..views, image);
        }
    }
    shards
}

/// Views of images.
pub(crate) struct Of<'a> {
    images: Vec<&'a ImageRecord>,
    views: Range<usize>,
}

impl Of<'_> {
    /// How often the encoder runs.
    fn count(&self) -> usize {
        self.images.len() * self.views.len()
    }
}

/// Maximum number of batches that wait for the encoder, and for the disk.
const AHEAD: usize = 2;

pub(crate) struct Writer<'a> {
    pub(crate) encoder: Box<dyn FrozenEncoder>,
    pub(crate) device: Device,
    pub(crate) batch: usize,
    /// The grid on disk.
    pub(crate) grid: [i64; 2],
    pub(crate) ends: Ends<'a>,
}

/// Where pixels are read and feature maps are written. Threads share it, unlike an encoder.
pub(crate) struct Ends<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) staging: &'a Staging,
    pub(crate) dtype: Dtype,
}

impl Writer<'_> {
    /// Writes the shards of `to_make`; `shape` is the number of cells and of their channels.
    pub(crate) fn run(
        &self,
        shards: &BTreeMap<String, Of>,
        to_make: &[&Piece],
        shape: [usize; 2],
    ) -> Result<()> {
        let to_make = (to_make.iter()).filter_map(|piece| Some((*piece, shards.get(&piece.name)?)));
        let all: usize = shards.values().map(Of::count).sum();
        let rest: usize = to_make.clone().map(|(_, of)| of.count()).sum();
        let bar = progress("features", "images", all as u64);
        bar.skip((all - rest) as u64);
        for (piece, of) in to_make {
            self.shard(piece, of, shape, &bar)?;
        }
        bar.finish();
        Ok(())
    }

    /// Makes a shard: one thread reads batches ahead, this one runs the encoder, and another
    /// writes the feature maps.
    fn shard(
        &self,
        piece: &Piece,
        Of { images, views }: &Of,
        shape: [usize; 2],
        bar: &Progress,
    ) -> Result<()> {
        let (ends, size) = (&self.ends, self.batch);
        let [cells, channels] = shape;
        let (shape, names) = match views.contains(&0) {
            true => (vec![cells, channels], vec!["cell", "channel"]),
            false => (
                vec![views.len(), cells, channels],
                vec!["view", "cell", "channel"],
            ),
        };
        let (to_encoder, batches) = bounded(AHEAD);
        let (to_disk, maps) = bounded(AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for batch in images.chunks(size) {
                    let gathered = ends.gather(batch).map(|pixels| (batch, pixels));
                    let failed = gathered.is_err();
                    if to_encoder.send(gathered).is_err() || failed {
                        break;
                    }
                }
            });
            let disk = scope.spawn(|| ends.write(piece, (&shape, &names), maps));
            let encode = || {
                for batch in batches {
                    let (batch, pixels) = batch?;
                    let cells = views.clone().map(|view| {
                        check_interrupt()?;
                        let cells = self.encode(&views::turned(&pixels, view))?;
                        bar.inc(batch.len() as u64);
                        Ok(cells.to_kind(ends.kind()))
                    });
                    let cells: Vec<Tensor> = cells.collect::<Result<_>>()?;
                    // (B, views, P, C), in which a row is as long without the axis of one view.
                    let cells = Tensor::stack(&cells, 1);
                    if to_disk.send((batch, cells.contiguous())).is_err() {
                        break; // the writer's error says why
                    }
                }
                Ok(())
            };
            let encoded = encode();
            drop(to_disk);
            let written = disk.join();
            encoded?;
            let shard =
                written.unwrap_or_else(|_| Err(Error::internal("the writing thread panicked")))?;
            ends.staging.shard_done(piece, shard, None)
        })
    }

    /// Encodes pixels, u8 (B, 3, H, W), into cells (B, P, C) of the grid on disk.
    fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        let cells = self.encoder.cells(&pixels.to_device(self.device));
        let Cells { cells, grid } = cells.map_err(Error::input)?;
        let cells = match grid == self.grid {
            true => cells,
            false => {
                let size = [cells.size()[0], cells.size()[2], grid[0], grid[1]];
                let map = cells.transpose(1, 2).reshape(size); // (B, C, h, w)
                let pooled = map.adaptive_avg_pool2d(self.grid);
                pooled.flatten(2, 3).transpose(1, 2)
            }
        };
        Ok(cells.to_device(Device::Cpu))
    }
}

impl Ends<'_> {
    /// Reads the pixels of a batch: u8 (B, 3, H, W).
    fn gather(&self, batch: &[&ImageRecord]) -> Result<Tensor> {
        let [height, width] = self.dataset.image_size().map(|n| n as i64);
        let rows = batch.iter().map(|image| self.dataset.pixels(image));
        let rows: Vec<&[u8]> = rows.collect::<Result<_>>()?;
        gather(&rows, &[3, height, width], Dtype::U8).map_err(Error::internal)
    }

    /// Writes cells (B, views, P, C) as they arrive; `shape` is that of a row, with the names of
    /// its axes.
    fn write(
        &self,
        piece: &Piece,
        (shape, names): (&[usize], &[&str]),
        maps: Receiver<(&[&ImageRecord], Tensor)>,
    ) -> Result<WrittenShard> {
        let path = self.staging.path(&piece.name)?;
        let mut writer = TensorShardWriter::create(&path, "features", self.dtype, shape, names)?;
        let row = shape.iter().product::<usize>() * self.dtype.bytes();
        let mut bytes = Vec::new();
        for (batch, map) in maps {
            bytes.resize(map.numel() * self.dtype.bytes(), 0);
            map.f_copy_data_u8(&mut bytes, map.numel())
                .map_err(Error::internal)?;
            let rows = bytes.chunks_exact(row);
            for (image, row) in batch.iter().zip(rows) {
                if !self.dtype.all_finite(row) {
                    return Err(self.not_finite(image));
                }
                writer.push(image.image_id, row)?;
            }
        }
        writer.finish()
    }

    fn not_finite(&self, image: &ImageRecord) -> Error {
        let way_out = match self.dtype {
            Dtype::F16 => {
                "f16 ends at 65504: set features.dtype = \"f32\", or check encoder.weights"
            }
            _ => "check encoder.weights",
        };
        Error::input(format!(
            "{}: the features of image {} ({}) are NaN or infinite; {way_out}",
            image.shard,
            image.image_id,
            escaped(&image.file_name)
        ))
    }

    fn kind(&self) -> Kind {
        match self.dtype {
            Dtype::F16 => Kind::Half,
            _ => Kind::Float,
        }
    }
}
