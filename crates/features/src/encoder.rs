//! The encoder: its sections of the config, and what is kept of it.

use attend_artifact::model::{EncoderConfig, TorchScriptSection};
use attend_artifact::{Input, Staging};
use attend_model::{FrozenEncoder, ResNetConfig, TorchScript, weights};
use attend_program::{At, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tch::{Device, nn};

/// `[encoder]`
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EncoderSection {
    #[serde(flatten)]
    config: ResNetConfig,
    /// File of the encoder's weights, `.safetensors` or `.pth`.
    weights: String,
}

/// What is kept of an encoder beside its features.
pub(crate) enum Kept {
    /// A ResNet's weights.
    Weights(nn::VarStore),
    /// A TorchScript module's file.
    File(PathBuf),
}

/// The encoder's file as an input.
pub(crate) fn input(
    resnet: &EncoderSection,
    script: &TorchScriptSection,
) -> Result<(&'static str, Input)> {
    if let Some(input) = script.input()? {
        return Ok(input);
    }
    let file = Path::new(&resnet.weights);
    let input = Input::of_file("encoder.weights", file, "weights").map_err(|e| {
        Error::input(format!(
            "{e}; a frozen encoder needs trained weights, such as torchvision's resnet101 (.pth or .safetensors)"
        ))
    })?;
    Ok(("weights", input))
}

/// Opens the encoder for images of this height and width.
pub(crate) fn open(
    resnet: &EncoderSection,
    script: &TorchScriptSection,
    image_size: [i64; 2],
    device: Device,
) -> Result<(EncoderConfig, Box<dyn FrozenEncoder>, Kept)> {
    if script.file.is_empty() {
        let file = Path::new(&resnet.weights);
        let vars = nn::VarStore::new(device);
        let encoder = attend_model::encoder::new(&vars.root(), &resnet.config);
        let dict = weights::read(file).map_err(Error::input)?;
        (encoder.load(&vars, &dict))
            .map_err(|e| Error::input(format!("{}: {e}", file.display())))?;
        let config = EncoderConfig::ResNet(resnet.config.clone());
        return Ok((config, encoder.frozen(), Kept::Weights(vars)));
    }
    let file = PathBuf::from(&script.file);
    let config = script.config(image_size)?;
    let encoder = TorchScript::open(&file, &config, device).map_err(Error::input)?;
    let config = EncoderConfig::TorchScript(encoder.config().clone());
    let checked = config.check();
    checked.map_err(|why| Error::input(format!("{}: {why}", file.display())))?;
    Ok((config, Box::new(encoder), Kept::File(file)))
}

/// Writes the encoder beside its features.
pub(crate) fn keep(staging: &Staging, config: &EncoderConfig, kept: Kept) -> Result<()> {
    let path = staging.path("encoder.json")?;
    std::fs::write(&path, config.json(staging.schema())?).at(&path)?;
    staging.done("encoder.json", None)?;
    let name = config.file().unwrap_or_default();
    let path = staging.path(name)?;
    match kept {
        Kept::Weights(vars) => weights::write(&path, &vars.variables().into_iter().collect())
            .map_err(Error::internal)?,
        Kept::File(file) => drop(std::fs::copy(file, &path).at(&path)?),
    }
    staging.done(name, None)
}
