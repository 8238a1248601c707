//! An encoder's description: contents of `encoder.json`, and part of `model.json`.

use super::files::ENCODER;
use super::json::strict;
use super::resnet::ResNetConfig;
use crate::Artifact;
use attend_program::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::{Display, Formatter};
use std::path::Path;

/// The file of a TorchScript module.
pub const SCRIPT: &str = "encoder.pt";

/// An encoder, by kind. An object without `kind` is a ResNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EncoderConfig {
    /// A ResNet, whose weights are in `encoder.safetensors`.
    ResNet(ResNetConfig),
    /// A TorchScript module, which is in `encoder.pt`.
    TorchScript(TorchScriptConfig),
    /// A network of another program.
    Foreign(ForeignConfig),
}

/// How a TorchScript module turns pixels into cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TorchScriptConfig {
    /// Its file, `encoder.pt`.
    pub file: String,
    /// Height and width of its input images, in pixels.
    pub image_size: [i64; 2],
    /// Mean of each channel, for values from 0 to 1; subtracted from the pixels.
    pub mean: [f64; 3],
    /// Standard deviation of each channel, by which they are divided then.
    pub std: [f64; 3],
    /// Form of its output.
    pub output: Form,
    /// Tokens before the first cell, such as a class token, which are left out.
    pub skip: i64,
    /// Height and width of the grid, in cells.
    pub grid: [i64; 2],
    /// Channels of a cell.
    pub channels: i64,
}

/// Form of a network's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A feature map (B, C, h, w).
    Map,
    /// Tokens (B, N, C), of which the last h * w are the cells, row by row.
    Tokens,
}

impl Display for Form {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Form::Map => "map",
            Form::Tokens => "tokens",
        })
    }
}

/// A network of another program, which made the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignConfig {
    /// Its name, which stands for its architecture and weights.
    pub name: String,
    /// Height and width of its input images, in pixels: those of the data set.
    pub image_size: [i64; 2],
    /// Height and width of the grid, in cells.
    pub grid: [i64; 2],
    /// Channels of a cell.
    pub channels: i64,
    /// The program that turns pixels into cells, and its arguments. It reads images
    /// u8 [3, H, W] from standard input to its end, and answers each with cells
    /// f32 [h * w, C] (little-endian) on standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

impl EncoderConfig {
    /// Reads an `encoder.json`.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file if it can't be read, has an unknown key, lacks
    /// one, or has an invalid value.
    pub fn read(path: &Path) -> Result<EncoderConfig> {
        let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
        let text = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
        let mut given = serde_json::from_slice(&text).map_err(|e| refused(e.to_string()))?;
        name_kind(&mut given);
        let config: EncoderConfig = strict(given).map_err(refused)?;
        config.check().map_err(refused)?;
        Ok(config)
    }

    /// The text of an `encoder.json` in a features artifact of this schema version.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn json(&self, schema: u32) -> Result<String> {
        let json = match self {
            EncoderConfig::ResNet(resnet) if schema == 1 => serde_json::to_string_pretty(resnet),
            _ => serde_json::to_string_pretty(self),
        };
        Ok(json.map_err(Error::internal)? + "\n")
    }

    /// Channels of a cell.
    pub fn channels(&self) -> i64 {
        match self {
            EncoderConfig::ResNet(resnet) => resnet.channels(),
            EncoderConfig::TorchScript(script) => script.channels,
            EncoderConfig::Foreign(foreign) => foreign.channels,
        }
    }

    /// Height and width of the grid for images of this height and width, in cells. Only a
    /// ResNet takes images of another size than its own.
    pub fn grid(&self, image_size: [i64; 2]) -> [i64; 2] {
        match self {
            EncoderConfig::ResNet(resnet) => resnet.grid(image_size),
            EncoderConfig::TorchScript(script) => script.grid,
            EncoderConfig::Foreign(foreign) => foreign.grid,
        }
    }

    /// Height and width of its input images, in pixels; `None` if it takes any.
    pub fn image_size(&self) -> Option<[i64; 2]> {
        match self {
            EncoderConfig::ResNet(_) => None,
            EncoderConfig::TorchScript(script) => Some(script.image_size),
            EncoderConfig::Foreign(foreign) => Some(foreign.image_size),
        }
    }

    /// Refuses images of another height and width than its own.
    ///
    /// # Errors
    /// Names both sizes.
    pub fn check_images(&self, image_size: [i64; 2]) -> Result<(), String> {
        match self.image_size() {
            Some(own) if own != image_size => Err(format!(
                "the encoder takes images of {} x {}, not of {} x {}",
                own[0], own[1], image_size[0], image_size[1]
            )),
            _ => Ok(()),
        }
    }

    /// Its file in features artifacts and checkpoints; `None` if another program has it.
    pub fn file(&self) -> Option<&'static str> {
        match self {
            EncoderConfig::ResNet(_) => Some(ENCODER),
            EncoderConfig::TorchScript(_) => Some(SCRIPT),
            EncoderConfig::Foreign(_) => None,
        }
    }

    /// Its architecture, if it is a ResNet.
    pub fn resnet(&self) -> Option<&ResNetConfig> {
        match self {
            EncoderConfig::ResNet(resnet) => Some(resnet),
            _ => None,
        }
    }

    /// Whether both are the same network. The command that runs a network is no part of it.
    pub fn is_same(&self, other: &EncoderConfig) -> bool {
        match (self, other) {
            (EncoderConfig::Foreign(a), EncoderConfig::Foreign(b)) => {
                let network = |config: &ForeignConfig| ForeignConfig {
                    command: None,
                    ..config.clone()
                };
                network(a) == network(b)
            }
            _ => self == other,
        }
    }

    /// What identifies the weights behind a features artifact of this encoder: the BLAKE3 of
    /// the encoder's file; without one, that of the producer and of all inputs but the data
    /// set, as compact JSON with sorted keys: `{"inputs":…,"producer":…}`.
    ///
    /// # Errors
    /// [`Error::Refused`] if the artifact lacks the encoder's file.
    pub fn weights_blake3(&self, features: &Artifact) -> Result<String> {
        let manifest = &features.manifest;
        if let Some(file) = self.file() {
            features.file(file)?;
            return Ok((manifest.file(file)).map_or_else(String::new, |file| file.blake3.clone()));
        }
        let mut inputs = manifest.inputs.clone();
        inputs.remove("dataset");
        let mut made_by = json!({ "inputs": inputs, "producer": manifest.producer });
        made_by.sort_all_objects();
        let digest = blake3::hash(made_by.to_string().as_bytes());
        Ok(digest.to_hex().to_string())
    }

    /// Refuses values that would make libtorch fail or ask for absurd memory.
    ///
    /// # Errors
    /// Names the value.
    pub fn check(&self) -> Result<(), String> {
        let (image_size, grid, channels) = match self {
            EncoderConfig::ResNet(_) => return Ok(()),
            EncoderConfig::TorchScript(script) => {
                script.check()?;
                (script.image_size, script.grid, script.channels)
            }
            EncoderConfig::Foreign(foreign) => {
                foreign.check()?;
                (foreign.image_size, foreign.grid, foreign.channels)
            }
        };
        let sizes = [
            ("image_size[0]", image_size[0], 1 << 13),
            ("image_size[1]", image_size[1], 1 << 13),
            ("grid[0]", grid[0], 1 << 8),
            ("grid[1]", grid[1], 1 << 8),
            ("channels", channels, 1 << 14),
        ];
        sizes
            .iter()
            .try_for_each(|(name, size, most)| match (1..=*most).contains(size) {
                true => Ok(()),
                false => Err(format!("{name} = {size} is not in 1..={most}")),
            })
    }
}

impl TorchScriptConfig {
    /// Refuses a file of another name, a normalisation that is none, and tokens that are not
    /// there.
    ///
    /// # Errors
    /// Names the value.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            file,
            mean,
            std,
            output,
            skip,
            ..
        } = self;
        if file != SCRIPT {
            return Err(format!("file = {file:?} is not {SCRIPT:?}"));
        }
        if !mean.iter().all(|x| x.is_finite()) {
            return Err(format!("mean = {mean:?}: not three numbers"));
        }
        if !std.iter().all(|x| x.is_finite() && *x > 0.0) {
            return Err(format!("std = {std:?}: not three numbers above 0"));
        }
        let most = if *output == Form::Tokens { 1 << 10 } else { 0 };
        match (0..=most).contains(skip) {
            true => Ok(()),
            false => Err(format!(
                "skip = {skip} is not in 0..={most}, for output = \"{output}\""
            )),
        }
    }
}

impl ForeignConfig {
    /// Refuses an empty name, and a command that no system can run.
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            return Err(format!("name = {:?}: not a name", self.name));
        }
        match &self.command {
            Some(words) if words.first().is_none_or(String::is_empty) => {
                Err("command names no program; leave it out if there is none".into())
            }
            Some(words) if words.iter().any(|word| word.contains('\0')) => {
                Err("command has a word with a character 0".into())
            }
            _ => Ok(()),
        }
    }
}

/// What it is, for messages: `a ResNet`, `the foreign network "efficientnet-lite0"`.
impl Display for EncoderConfig {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            EncoderConfig::ResNet(_) => f.write_str("a ResNet"),
            EncoderConfig::TorchScript(_) => f.write_str("a TorchScript module"),
            EncoderConfig::Foreign(foreign) => write!(f, "the foreign network {:?}", foreign.name),
        }
    }
}

/// Names the kind of an encoder's description that has none: a ResNet.
pub(super) fn name_kind(encoder: &mut Value) {
    if let Some(encoder) = encoder
        .as_object_mut()
        .filter(|all| !all.contains_key("kind"))
    {
        encoder.insert("kind".to_owned(), "resnet".into());
    }
}
