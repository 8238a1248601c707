//! Writes a config for a data set.

use super::encoder::Encoder;
use super::survey::Survey;
use std::fmt::Write;
use std::path::Path;
use toml::Value;

/// Column of the comments.
const COMMENTS: usize = 35;

/// The command that runs the config at `path`.
pub(super) fn command(path: &Path) -> String {
    let path = Value::String(path.display().to_string()).to_string();
    let plain = |c: char| c.is_alphanumeric() || "./_-\"".contains(c);
    let path = match path.chars().all(plain) {
        true => path.trim_matches('"').to_owned(),
        false => path,
    };
    format!("cargo xtask run --config {path}")
}

/// A config's text, as it grows.
#[derive(Default)]
struct Text(String);

impl Text {
    fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.0.push_str(format!("# {line}").trim_end());
            self.0.push('\n');
        }
    }

    fn section(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n[{name}]");
    }

    fn set(&mut self, key: &str, value: impl Into<Value>, why: &str) {
        let line = format!("{key} = {}", value.into());
        let _ = match why {
            "" => writeln!(self.0, "{line}"),
            why => writeln!(self.0, "{line:COMMENTS$}# {why}"),
        };
    }
}

/// What depends on the number of captions.
struct Training {
    min_count: i64,
    /// Width of the decoder's parts, if it is not the default.
    width: Option<i64>,
    epochs: i64,
    batch: i64,
    lr: f64,
    /// Whether the learning rate follows a cosine to the last epoch.
    cosine: bool,
    why: &'static str,
}

impl Training {
    /// The first two are those of configs/coco-mini.toml and configs/rsicd.toml, the last
    /// is the tutorial's.
    fn new(captions: usize) -> Training {
        let small = Training {
            min_count: if captions < 1000 { 1 } else { 3 },
            width: Some(256),
            epochs: 15,
            batch: 40,
            lr: 1e-3,
            cosine: false,
            why: "few captions are soon learned by heart",
        };
        match captions {
            0..10_000 => small,
            10_000..100_000 => Training {
                min_count: 5,
                width: None,
                epochs: 8,
                batch: 80,
                lr: 8e-4,
                cosine: true,
                why: "the cosine schedule ends with them",
            },
            _ => Training {
                min_count: 6,
                width: None,
                epochs: 120,
                batch: 80,
                lr: 4e-4,
                cosine: false,
                why: "at most: it stops after 20 without a better score",
            },
        }
    }
}

/// The config's text.
pub(super) fn text(name: &str, path: &Path, survey: &Survey, encoder: &Encoder) -> String {
    let mut text = Text::default();
    text.comment(&survey.description());
    text.comment(&format!("\n  {}", command(path)));
    text.comment("\nWritten by `cargo xtask init`; docs/parameters.md has every key.");
    text.section("run");
    text.set("name", name, "");
    text.set("pipeline", survey.pipeline, "");
    dataset(&mut text, survey, encoder);
    let training = Training::new(survey.train_captions());
    text.section("vocab");
    match survey.pipeline {
        "tutorial" => text.set(
            "min_count",
            1,
            "rarer words are <unk> in these files already",
        ),
        _ => text.set("min_count", training.min_count, "rarer words become <unk>"),
    }
    if survey.other_letters {
        let why = "captions have other letters than a to z";
        text.set("tokenizer", "unicode-words", why);
    }
    encode(&mut text, encoder);
    train(&mut text, survey, &training, encoder);
    text.0
}

fn dataset(text: &mut Text, survey: &Survey, encoder: &Encoder) {
    text.section("dataset");
    for (key, value) in &survey.settings {
        let why = match *key {
            "split" => "by the photographs' content; others: another seed",
            "splits" if value.is_table() => "the data's names, and those that stages look for",
            "follow_links" => "photographs are links that lead out of their folder",
            _ => "",
        };
        text.set(key, value.clone(), why);
    }
    if survey.pipeline != "tutorial" {
        let why = "photographs are resized to a square of this side";
        text.set("image_size", image_size(survey, encoder), why);
    }
}

/// The side of the images: about the shorter side of the photographs, at most 256, and
/// enough for 7 x 7 cells.
fn image_size(survey: &Survey, encoder: &Encoder) -> i64 {
    let shorter = survey.size.map_or(256, |(width, height)| width.min(height));
    let rounded = (shorter + 16) / 32 * 32;
    rounded.min(256).max(7 * encoder.stride()).into()
}

fn encode(text: &mut Text, encoder: &Encoder) {
    match encoder {
        Encoder::ResNet {
            arch,
            last_stage,
            stride_in,
            weights,
        } => {
            text.section("encoder");
            text.set("arch", *arch, "");
            text.set("last_stage", format!("layer{last_stage}"), "");
            let why = match *stride_in {
                "conv1x1" => "by the file's name",
                _ => "as in torchvision; the original networks have \"conv1x1\"",
            };
            text.set("stride_in", *stride_in, why);
            if weights.is_none() {
                text.comment(
                    "cargo xtask fetch resnet101 --to weights; export WEIGHTS=$PWD/weights",
                );
            }
            let fetched = "${WEIGHTS}/resnet101-63fe2227.pth";
            text.set("weights", weights.as_deref().unwrap_or(fetched), "");
        }
        Encoder::TorchScript(file) => {
            text.section("torchscript");
            text.set("file", file.as_str(), "code that will run: trust it");
            text.comment(
                "mean, std, output and skip must be those of the module (docs/parameters.md)",
            );
        }
    }
    text.section("features");
    text.set("dtype", "f16", "");
}

fn train(text: &mut Text, survey: &Survey, training: &Training, encoder: &Encoder) {
    text.section("decoder");
    if let Some(width) = training.width {
        text.set("embedding", width, "a small decoder for few captions");
        text.set("attention", width, "");
        text.set("hidden", width, "");
    }
    let coarse = matches!(encoder, Encoder::ResNet { last_stage: 4, .. });
    let (grid, why) = match coarse {
        true => (14, "the encoder's cells, interpolated"),
        false => (0, "the encoder's own cells"),
    };
    text.set("grid", vec![grid; 2], why);
    text.section("train");
    text.set("epochs", training.epochs, training.why);
    text.set("batch", training.batch, "");
    let (together, why) = match survey.repeats {
        true => (1, "images have the same caption several times"),
        false => (survey.captions_per_image.clamp(1, 5) as i64, ""),
    };
    text.set("captions_per_image", together, why);
    text.set("decoder_lr", training.lr, "");
    if training.cosine {
        text.set("schedule", "cosine", "");
        text.set("warmup_steps", 200, "");
    }
    let (validation, evaluation) = (survey.has("val"), survey.has("test"));
    if !validation {
        let why = "there is no val: its scores flatter, because they choose the best epoch";
        text.set("validation_split", "test", why);
    }
    text.set("validation_beam", 3, "");
    text.section("search");
    text.set("beams", vec![1, 3, 5], "");
    text.section("evaluate");
    let (split, why) = match evaluation {
        true => ("test", ""),
        false => (
            "val",
            "there is no test: its scores flatter, because they choose the best epoch",
        ),
    };
    text.set("split", split, why);
}
