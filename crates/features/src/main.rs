//! `attend-features`: what a frozen encoder makes of every image, once.

use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::{
    At, Error, Input, InputSpec, Parts, Piece, Progress, Result, Stage, StageSpec, Staging,
    check_interrupt, digest_file, progress, stage,
};
use attend_model::{Encoder, EncoderConfig, FrozenEncoder, cells, normalise, weights};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use tch::{Device, Kind, Tensor, nn, no_grad};

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
    unrecorded: &["encoder.weights", "features.device"],
};

/// The sections of the config that this stage reads.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    encoder: EncoderSection,
    features: FeaturesSection,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct EncoderSection {
    #[serde(flatten)]
    config: EncoderConfig,
    /// File of its weights, `.safetensors` or `.pth`.
    weights: String,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct FeaturesSection {
    /// `f16` or `f32` on disk.
    dtype: String,
    /// Images that the encoder sees at a time; a batch never crosses a shard.
    batch: usize,
    /// `cpu`, `cuda`, `cuda:N`, or `auto`.
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
    stage::main(&SPEC, features)
}

fn features(stage: &Stage<Config>) -> Result<()> {
    let Config { encoder, features } = &stage.config;
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
    let weights_file = Path::new(&encoder.weights);
    if !weights_file.is_file() {
        return Err(Error::input(format!(
            "encoder.weights = \"{}\": no such file; a frozen encoder needs trained weights, such as torchvision's resnet101 (.pth or .safetensors)",
            encoder.weights
        )));
    }
    tch::set_num_threads(i32::try_from(stage.jobs).unwrap_or(1));
    let input = Input {
        kind: "weights".into(),
        digest: digest_file(weights_file)?,
    };
    let artifact = stage.input("dataset")?;
    let dataset = Dataset::open(artifact)?;
    let shards = shards(&dataset);
    let pieces: Vec<Piece> = (shards.keys())
        .map(|name| Piece {
            name: (*name).to_owned(),
            sources: String::new(), // the data set's digest says all
        })
        .collect();
    let Some(staging) = stage.begin_pieces(&[("weights", input)], &pieces)? else {
        return Ok(());
    };
    let to_make = staging.to_make(&pieces)?;
    let vars = nn::VarStore::new(device);
    let model = Encoder::new(&vars.root(), &encoder.config);
    let dict = weights::read(weights_file).map_err(Error::input)?;
    model
        .load(&vars, &dict)
        .map_err(|e| Error::input(format!("{}: {e}", weights_file.display())))?;
    let mut writer = Writer {
        dataset: &dataset,
        encoder: FrozenEncoder::from(&model),
        staging: &staging,
        dtype,
        batch: features.batch,
        device,
    };
    let [height, width, channels] = writer.run(&shards, &to_make)?;
    if staging.is_task() {
        tracing::info!(
            "{} shards are done; --finalize makes the features of all",
            to_make.len()
        );
        return Ok(());
    }
    keep_encoder(&staging, &encoder.config, &vars)?;
    staging.commit(&[
        ("images", dataset.images().len() as u64),
        ("grid_height", height),
        ("grid_width", width),
        ("channels", channels),
    ])?;
    Ok(())
}

/// The images of each shard; features have the data set's shards.
fn shards(dataset: &Dataset) -> BTreeMap<&str, Vec<&ImageRecord>> {
    let mut shards: BTreeMap<&str, Vec<&ImageRecord>> = BTreeMap::new();
    for image in dataset.images() {
        shards.entry(&image.shard).or_default().push(image);
    }
    shards
}

/// Puts the encoder beside its features.
fn keep_encoder(staging: &Staging, config: &EncoderConfig, vars: &nn::VarStore) -> Result<()> {
    let path = staging.path("encoder.json")?;
    let json = serde_json::to_string_pretty(config).map_err(Error::internal)?;
    std::fs::write(&path, json + "\n").at(&path)?;
    staging.done("encoder.json", None)?;
    let path = staging.path("encoder.safetensors")?;
    weights::write(&path, &vars.variables().into_iter().collect()).map_err(Error::internal)?;
    staging.done("encoder.safetensors", None)
}

struct Writer<'a> {
    dataset: &'a Dataset,
    encoder: FrozenEncoder,
    staging: &'a Staging,
    dtype: Dtype,
    batch: usize,
    device: Device,
}

impl Writer<'_> {
    /// Writes the shards of `to_make`; says the map's height, width and channels.
    fn run(
        &mut self,
        shards: &BTreeMap<&str, Vec<&ImageRecord>>,
        to_make: &[&Piece],
    ) -> Result<[u64; 3]> {
        let [height, width] = self.dataset.image_size().map(|n| n as i64);
        let probe = Tensor::zeros([1, 3, height, width], (Kind::Uint8, Device::Cpu));
        let shape = self.encode(&probe).size();
        let images = |piece: &Piece| {
            shards
                .get(piece.name.as_str())
                .map_or(&[][..], Vec::as_slice)
        };
        let all = self.dataset.images().len();
        let bar = progress("features", "images", all as u64);
        let rest: usize = to_make.iter().map(|piece| images(piece).len()).sum();
        bar.skip((all - rest) as u64);
        for piece in to_make {
            self.shard(piece, images(piece), &shape, &bar)?;
        }
        bar.finish();
        Ok([shape[2] as u64, shape[3] as u64, shape[1] as u64])
    }

    fn shard(
        &self,
        piece: &Piece,
        images: &[&ImageRecord],
        shape: &[i64],
        bar: &Progress,
    ) -> Result<()> {
        let (cells_, channels) = ((shape[2] * shape[3]) as usize, shape[1] as usize);
        let path = self.staging.path(&piece.name)?;
        let mut writer = TensorShardWriter::create(
            &path,
            "features",
            self.dtype,
            &[cells_, channels],
            &["cell", "channel"],
        )?;
        let [height, width] = self.dataset.image_size().map(|n| n as i64);
        for batch in images.chunks(self.batch) {
            check_interrupt()?;
            let mut pixels = Vec::with_capacity(batch.len() * 3 * (height * width) as usize);
            for image in batch {
                pixels.extend_from_slice(self.dataset.pixels(image)?);
            }
            let pixels = Tensor::f_from_data_size(
                &pixels,
                &[batch.len() as i64, 3, height, width],
                Kind::Uint8,
            )
            .map_err(Error::internal)?;
            let kind = if self.dtype == Dtype::F16 {
                Kind::Half
            } else {
                Kind::Float
            };
            let map = cells(&self.encode(&pixels)).to_kind(kind).contiguous();
            let mut bytes = vec![0; map.numel() * self.dtype.bytes()];
            map.f_copy_data_u8(&mut bytes, map.numel())
                .map_err(Error::internal)?;
            for (image, row) in batch
                .iter()
                .zip(bytes.chunks_exact(cells_ * channels * self.dtype.bytes()))
            {
                writer.push(image.image_id, row)?;
            }
            bar.inc(batch.len() as u64);
        }
        let shard = writer.finish()?;
        self.staging.shard_done(piece, shard, None)
    }

    /// Feature maps (B, C, h, w) of pixels u8 (B, 3, H, W).
    fn encode(&self, pixels: &Tensor) -> Tensor {
        let pixels = pixels.to_device(self.device);
        no_grad(|| {
            self.encoder
                .forward(&normalise(&pixels))
                .to_device(Device::Cpu)
        })
    }
}
