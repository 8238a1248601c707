//! `attend-features`: runs a frozen encoder over every image, once, and stores the features.

mod encoder;
mod views;
mod write;

use attend_artifact::dataset::Dataset;
use attend_artifact::model::TorchScriptSection;
use attend_artifact::shard::Dtype;
use attend_artifact::{InputSpec, Piece, Stage, StageSpec, stage};
use attend_program::describe::{Checked, Parts};
use attend_program::{Error, Result};
use encoder::{EncoderSection, input, keep, open};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use tch::Device;
use write::{Ends, Writer, shards};

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
        // As they were before there was a choice.
        "features.views=1",
        "features.grid=[0,0]",
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
    /// Views of each image of the split `train`, among which `train.views` chooses. 1: itself.
    /// 2: also its mirror image. 4: also both upside down. 8: also all four turned by a quarter;
    /// needs square images.
    views: usize,
    /// Height and width of the grid to which the encoder's cells are pooled before they are
    /// stored; [0, 0]: not at all. With more views, fewer cells may have to do: 8 views of 14 x 14
    /// cells need 8 times the space, of 7 x 7 cells twice. `decoder.grid` must be the same.
    grid: [i64; 2],
    /// Images per batch; a batch never crosses a shard.
    batch: usize,
    /// Where the encoder runs: `cpu`, `cuda`, `cuda:N`, or `auto`.
    device: String,
}

impl Default for FeaturesSection {
    fn default() -> Self {
        FeaturesSection {
            dtype: "f16".into(),
            views: 1,
            grid: [0, 0],
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
    views::check(features.views, size)?;
    if size.is_some() || torchscript.file.is_empty() {
        let (config, ..) = open(encoder, torchscript, size.unwrap_or([64, 64]), device)?;
        if let Some(size) = size {
            grid(features.grid, config.grid(size))?;
        }
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

/// The grid on disk, from `features.grid` and the encoder's.
fn grid(wanted: [i64; 2], native: [i64; 2]) -> Result<[i64; 2]> {
    let fits = wanted
        .iter()
        .zip(native)
        .all(|(n, most)| (1..=most).contains(n));
    match wanted {
        [0, 0] => Ok(native),
        wanted if fits => Ok(wanted),
        _ => Err(Error::usage(format!(
            "features.grid = {wanted:?} must be [0, 0], or from [1, 1] to the encoder's grid, {native:?}"
        ))),
    }
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
    let image_size = dataset.image_size().map(|n| n as i64);
    views::check(features.views, Some(image_size))?;
    let shards = shards(&dataset, features.views);
    let pieces: Vec<Piece> = (shards.keys())
        .map(|name| Piece {
            name: name.clone(),
            sources: String::new(), // the data set's digest covers them
        })
        .collect();
    let Some(staging) = stage.begin_pieces(&[input], &pieces)? else {
        return Ok(());
    };
    let to_make = staging.to_make(&pieces)?;
    let (config, encoder, kept) = open(encoder, torchscript, image_size, device)?;
    let grid = grid(features.grid, config.grid(image_size))?;
    let shape = [grid[0] * grid[1], config.channels()].map(|n| n as usize);
    let writer = Writer {
        encoder,
        device,
        batch: features.batch,
        grid,
        ends: Ends {
            dataset: &dataset,
            staging: &staging,
            dtype,
        },
    };
    writer.run(&shards, &to_make, shape)?;
    if staging.is_task() {
        tracing::info!(
            "{} shards are done; --finalize makes the artifact once all tasks are done",
            to_make.len()
        );
        return Ok(());
    }
    keep(&staging, &config, kept)?;
    let mut counts = vec![
        ("images", dataset.images().len() as u64),
        ("grid_height", grid[0] as u64),
        ("grid_width", grid[1] as u64),
        ("channels", shape[1] as u64),
    ];
    if features.views > 1 {
        counts.push(("views", features.views as u64));
    }
    staging.commit(&counts)?;
    Ok(())
}
