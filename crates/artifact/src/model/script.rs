//! `[torchscript]`: the section of a config that names a TorchScript module.

use super::encoder::{Form, SCRIPT, TorchScriptConfig};
use crate::Input;
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `[torchscript]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchScriptSection {
    /// TorchScript module to take instead of the ResNet: the file of `torch.jit.save`. It
    /// gets normalised images, and may answer any batch of them. It is code: name only one
    /// that you trust. Empty: the ResNet of `[encoder]`.
    pub file: String,
    /// Mean of each channel, subtracted from pixels from 0 to 1.
    pub mean: [f64; 3],
    /// Standard deviation of each channel, by which they are divided then.
    pub std: [f64; 3],
    /// Output of the module: a `map` (B, C, h, w) or `tokens` (B, N, C).
    pub output: Form,
    /// Tokens before the first cell, such as a class token, to leave out.
    pub skip: i64,
    /// Grid of the cells, [height, width]; [0, 0]: the map's, or a square one of tokens.
    pub grid: [i64; 2],
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

impl TorchScriptSection {
    /// The module's file as an input; `None` if the section names none.
    ///
    /// # Errors
    /// [`Error::Input`] if the file can't be read.
    pub fn input(&self) -> Result<Option<(&'static str, Input)>> {
        if self.file.is_empty() {
            return Ok(None);
        }
        let input = Input::of_file("torchscript.file", Path::new(&self.file), "torchscript")?;
        Ok(Some(("torchscript", input)))
    }

    /// What the module does with images of this height and width; 0 stands for what only the
    /// module itself can tell.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the invalid parameter.
    pub fn config(&self, image_size: [i64; 2]) -> Result<TorchScriptConfig> {
        let config = TorchScriptConfig {
            file: SCRIPT.into(),
            image_size,
            mean: self.mean,
            std: self.std,
            output: self.output,
            skip: self.skip,
            grid: self.grid,
            channels: 0,
        };
        let checked = config.check();
        checked.map_err(|why| Error::usage(format!("torchscript.{why}")))?;
        Ok(config)
    }
}
