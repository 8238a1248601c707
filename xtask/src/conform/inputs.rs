//! Small artifacts for a stage to read, made by our own stages out of drawn scenes.

use crate::child;
use crate::programs::Programs;
use attend_program::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A recipe: the program, its inputs, its parameters.
type Recipe = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const ENCODER: [&str; 2] = ["encoder.arch=resnet18", "encoder.last_stage=layer1"];

fn recipe(kind: &str) -> Option<Recipe> {
    Some(match kind {
        "scenes" => (
            "attend-scenes",
            &[],
            &[
                "scenes.train=60",
                "scenes.val=8",
                "scenes.test=8",
                "scenes.image_size=32",
            ],
        ),
        "dataset" => (
            "attend-ingest",
            &["scenes"],
            &[
                "dataset.annotations=dataset_scenes.json",
                "dataset.objects=annotations/instances.json",
                "dataset.image_size=32",
                "dataset.shard_size=16",
            ],
        ),
        "vocabulary" => ("attend-vocab", &["dataset"], &["vocab.min_count=1"]),
        "model" => (
            "attend-train",
            &["dataset", "vocabulary"],
            &[
                "train.encoder=whole",
                "train.epochs=1",
                "train.max_length=5",
                "decoder.embedding=8",
                "decoder.attention=8",
                "decoder.hidden=8",
                "decoder.grid=[0, 0]",
            ],
        ),
        "features" => ("attend-features", &["dataset"], &["features.batch=8"]),
        "evaluation" => (
            "attend-evaluate",
            &["dataset", "model"],
            &["search.max_length=5", "evaluate.metrics=[\"bleu\"]"],
        ),
        _ => return None,
    })
}

/// The programs that make an artifact of this kind and what it is made from.
pub fn programs(kind: &str) -> Vec<&'static str> {
    let Some((program, inputs, _)) = recipe(kind) else {
        return Vec::new();
    };
    let weights: &[&str] = if kind == "features" { &["model"] } else { &[] };
    let below = inputs.iter().chain(weights).flat_map(|kind| programs(kind));
    below.chain([program]).collect()
}

/// Makes an artifact of a kind, and what it is made from, in `folder`, unless it is among
/// `given`. Another `seed` gives other content.
///
/// # Errors
/// [`Error::Usage`] if no stage of ours makes that kind.
pub fn make(
    programs: &Programs,
    folder: &Path,
    kind: &str,
    seed: u32,
    given: &BTreeMap<String, PathBuf>,
) -> Result<PathBuf> {
    if let Some(folder) = given.get(kind) {
        return Ok(folder.clone());
    }
    let (program, inputs, parameters) = recipe(kind).ok_or_else(|| {
        Error::usage(format!(
            "no stage here makes a small {kind}: give one with --input {kind}=PATH"
        ))
    })?;
    let output = folder.join(format!("{kind}-{seed}"));
    if output.join("manifest.json").is_file() {
        return Ok(output);
    }
    let mut command = programs.command(&[program.to_owned()])?;
    for input in inputs {
        let path = make(programs, folder, input, seed, given)?;
        command
            .arg("--input")
            .arg(format!("{input}={}", path.display()));
    }
    let mut parameters: Vec<String> = parameters.iter().map(|&p| p.to_owned()).collect();
    match kind {
        "scenes" => parameters.push(format!("scenes.seed={seed}")),
        "model" => parameters.extend(ENCODER.map(str::to_owned)),
        "features" => {
            let model = make(programs, folder, "model", seed, given)?;
            let weights = model.join("checkpoints/best/encoder.safetensors");
            parameters.push(format!("encoder.weights={}", weights.display()));
            parameters.extend(ENCODER.map(str::to_owned));
        }
        _ => {}
    }
    for parameter in parameters {
        command.args(["--set", &parameter]);
    }
    command.arg("--output").arg(&output);
    command.env("RUST_LOG", "error").stdout(Stdio::null());
    child::run_ok(&mut command)?;
    Ok(output)
}
