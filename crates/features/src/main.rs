//! `attend-features`: runs a frozen encoder over every image, once, and stores the features.

mod encoder;

use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::model::TorchScriptSection;
use attend_artifact::shard::{Dtype, TensorShardWriter, WrittenShard};
use attend_artifact::{InputSpec, Piece, Stage, StageSpec, Staging, stage};
use attend_model::{FrozenEncoder, gather};
use attend_program::describe::{Checked, Parts};
use attend_program::text::escaped;
use attend_program::{Error, Progress, Result, check_interrupt, progress};
use crossbeam::channel::{Receiver, bounded};
use encoder::{EncoderSection, input, keep, open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::ExitCode;
use tch::{Device, Kind, Tensor};

const SPEC: StageSpec = StageSpec {
    name: "attend-features",
    version: env!("CARGO_PKG_VERSION"),
    about: "Runs a frozen encoder over every image, once",
    inputs: &[InputSpec {
        kind: "dataset",
        required: true,
    }],
    output: "features",
    parts: Parts::Shards,
    unrecorded: &[
        "encoder.weights",
        "features.device",
        "torchscript.file",
        // As they are for a ResNet.
        "torchscript.mean=[0.485,0.456,0.406]",
        "torchscript.std=[0.229,0.224,0.225]",
        "torchscript.output=\"map\"",
        "torchscript.skip=0",
        "torchscript.grid=[0,0]",
    ],
    paths: &["encoder.weights", "torchscript.file"],
    extends: false,
};

/// The sections of the config that this stage reads.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    encoder: EncoderSection,
    torchscript: TorchScriptSection,
    features: FeaturesSection,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct FeaturesSection {
    /// Number type on disk: `f16` or `f32`.
    dtype: String,
    /// Images per batch; a batch never crosses a shard.
    batch: usize,
    /// Where the encoder runs: `cpu`, `cuda`, `cuda:N`, or `auto`.
    device: String,
}

impl Default for FeaturesSection {
    fn default() -> Self {
        FeaturesSection {
            dtype: "f16".into(),
            batch: 16,
            device: "auto".into(),
        }
    }
}

fn main() -> ExitCode {
    stage::main(&SPEC, check, features)
}

/// Opens the encoder; a TorchScript module only if the size of its images is known.
fn check(stage: &Stage<Config>) -> Result<Checked> {
    let Config {
        encoder,
        torchscript,
        features,
    } = &stage.config;
    let (_, device) = settings(features)?;
    input(encoder, torchscript)?;
    let dataset = stage.optional_input("dataset");
    let size = dataset.map(Dataset::open).transpose()?;
    let size = size.map(|dataset| dataset.image_size().map(|n| n as i64));
    if size.is_some() || torchscript.file.is_empty() {
        open(encoder, torchscript, size.unwrap_or([64, 64]), device)?;
    }
    Ok(Checked::default())
}

/// The type of the numbers on disk, and the device.
fn settings(features: &FeaturesSection) -> Result<(Dtype, Device)> {
    let dtype = match features.dtype.as_str() {
        "f16" => Dtype::F16,
        "f32" => Dtype::F32,
        other => {
            return Err(Error::usage(format!(
                "features.dtype = {other}: expected f16 or f32"
            )));
        }
    };
    if features.batch == 0 {
        return Err(Error::usage("features.batch must be at least 1"));
    }
    let device = attend_model::device(&features.device).map_err(Error::usage)?;
    Ok((dtype, device))
}

fn features(stage: &Stage<Config>) -> Result<()> {
    let Config {
        encoder,
        torchscript,
        features,
    } = &stage.config;
    let (dtype, device) = settings(features)?;
    attend_model::set_threads(stage.jobs);
    let input = input(encoder, torchscript)?;
    let artifact = stage.input("dataset")?;
    let dataset = Dataset::open(artifact)?;
    let shards = shards(&dataset);
    let pieces: Vec<Piece> = (shards.keys())
        .map(|name| Piece {
            name: (*name).to_owned(),
            sources: String::new(), // the data set's digest covers them
        })
        .collect();
    let Some(staging) = stage.begin_pieces(&[input], &pieces)? else {
        return Ok(());
    };
    let to_make = staging.to_make(&pieces)?;
    let image_size = dataset.image_size().map(|n| n as i64);
    let (config, encoder, kept) = open(encoder, torchscript, image_size, device)?;
    let mut writer = Writer {
        encoder,
        device,
        batch: features.batch,
        ends: Ends {
            dataset: &dataset,
            staging: &staging,
            dtype,
        },
    };
    let grid = config.grid(image_size);
    let shape = [grid[0] * grid[1], config.channels()].map(|n| n as usize);
    writer.run(&shards, &to_make, shape)?;
    if staging.is_task() {
        tracing::info!(
            "{} shards are done; --finalize makes the artifact once all tasks are done",
            to_make.len()
        );
        return Ok(());
    }
    keep(&staging, &config, kept)?;
    staging.commit(&[
        ("images", dataset.images().len() as u64),
        ("grid_height", grid[0] as u64),
        ("grid_width", grid[1] as u64),
        ("channels", shape[1] as u64),
    ])?;
    Ok(())
}

/// The images of each shard; features are sharded like the data set.
fn shards(dataset: &Dataset) -> BTreeMap<&str, Vec<&ImageRecord>> {
    let mut shards: BTreeMap<&str, Vec<&ImageRecord>> = BTreeMap::new();
    for image in dataset.images() {
        shards.entry(&image.shard).or_default().push(image);
    }
    shards
}

/// Maximum number of batches that wait for the encoder, and for the disk.
const AHEAD: usize = 2;

struct Writer<'a> {
    encoder: Box<dyn FrozenEncoder>,
    device: Device,
    batch: usize,
    ends: Ends<'a>,
}

/// Where pixels are read and feature maps are written. Threads share it, unlike an encoder.
struct Ends<'a> {
    dataset: &'a Dataset,
    staging: &'a Staging,
    dtype: Dtype,
}

impl Writer<'_> {
    /// Writes the shards of `to_make`; `shape` is the number of cells and of their channels.
    fn run(
        &mut self,
        shards: &BTreeMap<&str, Vec<&ImageRecord>>,
        to_make: &[&Piece],
        shape: [usize; 2],
    ) -> Result<()> {
        let images = |piece: &Piece| {
            shards
                .get(piece.name.as_str())
                .map_or(&[][..], Vec::as_slice)
        };
        let all = self.ends.dataset.images().len();
        let bar = progress("features", "images", all as u64);
        let rest: usize = to_make.iter().map(|piece| images(piece).len()).sum();
        bar.skip((all - rest) as u64);
        for piece in to_make {
            self.shard(piece, images(piece), shape, &bar)?;
        }
        bar.finish();
        Ok(())
    }

    /// Makes a shard: one thread reads batches ahead, this one runs the encoder, and another
    /// writes the feature maps.
    fn shard(
        &self,
        piece: &Piece,
        images: &[&ImageRecord],
        shape: [usize; 2],
        bar: &Progress,
    ) -> Result<()> {
        let (ends, size) = (&self.ends, self.batch);
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
            let disk = scope.spawn(|| ends.write(piece, shape, maps, bar));
            let encode = || {
                for batch in batches {
                    check_interrupt()?;
                    let (batch, pixels) = batch?;
                    let cells = self.encode(&pixels)?.to_kind(ends.kind());
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

    /// Encodes pixels, u8 (B, 3, H, W), into cells (B, p, C).
    fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        let cells = self.encoder.cells(&pixels.to_device(self.device));
        let cells = cells.map_err(Error::input)?.cells;
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

    /// Writes cells (B, p, C) as they arrive; `size` is [p, C].
    fn write(
        &self,
        piece: &Piece,
        size: [usize; 2],
        maps: Receiver<(&[&ImageRecord], Tensor)>,
        bar: &Progress,
    ) -> Result<WrittenShard> {
        let path = self.staging.path(&piece.name)?;
        let names = ["cell", "channel"];
        let mut writer = TensorShardWriter::create(&path, "features", self.dtype, &size, &names)?;
        let mut bytes = Vec::new();
        for (batch, map) in maps {
            bytes.resize(map.numel() * self.dtype.bytes(), 0);
            map.f_copy_data_u8(&mut bytes, map.numel())
                .map_err(Error::internal)?;
            let rows = bytes.chunks_exact(size[0] * size[1] * self.dtype.bytes());
            for (image, row) in batch.iter().zip(rows) {
                if !self.dtype.all_finite(row) {
                    return Err(self.not_finite(image));
                }
                writer.push(image.image_id, row)?;
            }
            bar.inc(batch.len() as u64);
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
