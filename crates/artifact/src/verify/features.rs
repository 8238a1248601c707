//! Checks features, and the encoder that made them.

use super::against;
use crate::Artifact;
use crate::features::Features;
use crate::findings::Findings;
use crate::model::EncoderConfig;
use crate::model::weights::check_parameters;
use attend_program::Result;
use serde_json::{Map, Value};

const CARD: &str = "encoder.json";
const WEIGHTS: &str = "encoder.safetensors";

pub(super) fn check(findings: &mut Findings, against: &[Artifact]) -> Result<()> {
    let features = Features::examine(findings)?;
    let dataset = against::dataset(against)?;
    if let Some(dataset) = &dataset {
        against::features(findings, &features, dataset);
    }
    let Some(card) = findings.object(CARD)? else {
        return Ok(());
    };
    let size = dataset.map(|dataset| dataset.image_size().map(|n| n as i64));
    match card.get("kind").map(|kind| kind.as_str()) {
        None | Some(Some("resnet")) => resnet(findings, &features, size),
        Some(Some("torchscript")) => {
            if let Some(Some(file)) = card.get("file").map(Value::as_str) {
                findings.file(file)?;
            } else {
                findings.note(CARD, "\"file\" names no file");
            }
            other(findings, &card, &features, size);
            Ok(())
        }
        Some(Some("foreign")) => {
            other(findings, &card, &features, size);
            Ok(())
        }
        Some(kind) => {
            let kind = kind.unwrap_or("no text");
            let why = format!("\"kind\" is {kind}, not resnet, torchscript or foreign");
            findings.note(CARD, why);
            Ok(())
        }
    }
}

/// A ResNet, whose weights lie beside its card.
fn resnet(findings: &mut Findings, features: &Features, size: Option<[i64; 2]>) -> Result<()> {
    let Some(path) = findings.file(CARD)? else {
        return Ok(());
    };
    let config = findings.take(EncoderConfig::read(&path))?;
    let weights = findings.file(WEIGHTS)?;
    let Some(config) = config else {
        return Ok(());
    };
    if let Some(weights) = weights {
        findings.add(check_parameters(&weights, &config.parameters(), true))?;
    }
    let grid = size.map(|size| config.grid(size));
    shape(findings, features, grid, config.channels());
    Ok(())
}

/// An encoder of another kind, whose card says what its cells are.
fn other(
    findings: &mut Findings,
    card: &Map<String, Value>,
    features: &Features,
    size: Option<[i64; 2]>,
) {
    let pair =
        |key: &str| -> Option<[i64; 2]> { serde_json::from_value(card.get(key)?.clone()).ok() };
    let [grid, image_size] = ["grid", "image_size"].map(pair);
    let channels = card.get("channels").and_then(Value::as_i64);
    for (key, is_there) in [
        ("grid", grid.is_some()),
        ("image_size", image_size.is_some()),
        ("channels", channels.is_some()),
    ] {
        if !is_there {
            findings.note(CARD, format_args!("{key:?} is missing or no numbers"));
        }
    }
    shape(
        findings,
        features,
        grid,
        channels.unwrap_or(features.channels() as i64),
    );
    if let (Some(size), Some(image_size)) = (size, image_size)
        && size != image_size
    {
        let why = format!("for images of {image_size:?}, but those of the data set are {size:?}");
        findings.note(CARD, why);
    }
}

/// Compares the features' shape with what the card says.
fn shape(findings: &mut Findings, features: &Features, grid: Option<[i64; 2]>, channels: i64) {
    let found = features.grid().map(|n| n as i64);
    let grid = grid.unwrap_or(found);
    if (found, features.channels() as i64) != (grid, channels) {
        let why = format!(
            "this encoder makes {grid:?} cells of {channels} channels, the manifest says {found:?} of {}",
            features.channels()
        );
        findings.note(CARD, why);
    }
}
