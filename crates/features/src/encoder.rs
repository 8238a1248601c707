//! The encoder: its sections of the config, and what is kept of it.

use attend_artifact::model::{EncoderConfig, Form, SCRIPT, TorchScriptConfig};
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

/// `[torchscript]`
#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TorchScriptSection {
    /// TorchScript module to take instead of the ResNet: the file of `torch.jit.save`. It
    /// gets normalised images, and may answer any batch of them. It is code: name only one
    /// that you trust. Empty: the ResNet of `[encoder]`.
    pub(crate) file: String,
    /// Mean of each channel, subtracted from pixels from 0 to 1.
    mean: [f64; 3],
    /// Standard deviation of each channel, by which they are divided then.
    std: [f64; 3],
    /// Output of the module: a `map` (B, C, h, w) or `tokens` (B, N, C).
    output: Form,
    /// Tokens before the first cell, such as a class token, to leave out.
    skip: i64,
    /// Grid of the cells, [height, width]; [0, 0]: the map's, or a square one of tokens.
    grid: [i64; 2],
}

impl Default for TorchScriptSection {
    fn default() -> Self {
        TorchScriptSection {
            file: String::new(),
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            output: Form::Map,
            skip: 0,
            grid: [0, 0],
        }
    }
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
    let file = &script.file;
    if !file.is_empty() {
        let input = Input::of_file("torchscript.file", Path::new(file), "torchscript")?;
        return Ok(("torchscript", input));
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
    let config = TorchScriptConfig {
        file: SCRIPT.into(),
        image_size,
        mean: script.mean,
        std: script.std,
        output: script.output,
        skip: script.skip,
        grid: script.grid,
        channels: 0,
    };
    let checked = config.check();
    checked.map_err(|why| Error::usage(format!("torchscript.{why}")))?;
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
