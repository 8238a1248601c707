//! Encoders in TorchScript: any network that PyTorch's `torch.jit.save` wrote. They are
//! never trained.
//!
//! A module is code. It is loaded only where a config names it, or where a model that was
//! made with it is opened to describe pixels.

use super::interface::{Cells, FrozenEncoder};
use super::pixels::normalise;
use crate::{Error, Result};
use attend_artifact::model::{Form, TorchScriptConfig};
use std::path::Path;
use tch::{CModule, Device, Kind, Tensor, jit, no_grad};

/// A TorchScript module that turns normalised images (B, 3, H, W) into a feature map or
/// into tokens.
pub struct TorchScript {
    module: CModule,
    config: TorchScriptConfig,
}

impl TorchScript {
    /// Loads the module in `path`, and runs it once, on two black images: its output must
    /// have the grid and the channels of `config`. What is 0 there is set to what the output
    /// has; the grid of tokens only if the images are square: a square, too.
    ///
    /// # Errors
    /// [`Error::File`] if it is no module, [`Error::Encoder`] if it fails or has another
    /// output. Both name the file.
    pub fn open(path: &Path, config: &TorchScriptConfig, device: Device) -> Result<TorchScript> {
        let at = |why: String| format!("{}: {why}", path.display());
        // Otherwise a module is optimised while it runs, and rounds differently then: a
        // shard's bytes would depend on the shards before it.
        jit::set_graph_executor_optimize(false);
        let module = CModule::load_on_device(path, device);
        let mut module = module.map_err(|e| {
            Error::File(at(format!(
                "no TorchScript module ({}); expected the file of torch.jit.save",
                first_line(&e)
            )))
        })?;
        // Fails for a module that was frozen (`torch.jit.freeze`): it is in this mode already.
        let _ = module.f_set_eval();
        let mut encoder = TorchScript {
            module,
            config: config.clone(),
        };
        let [height, width] = config.image_size;
        let black = Tensor::zeros([2, 3, height, width], (Kind::Uint8, device));
        let output = encoder.run(&black);
        let fits = output.and_then(|output| encoder.fit(&output.size()));
        fits.map_err(|why| Error::Encoder(at(why)))?;
        Ok(encoder)
    }

    /// What it does, with the grid and the channels of its output.
    pub fn config(&self) -> &TorchScriptConfig {
        &self.config
    }

    /// The module's output for pixels u8 (B, 3, H, W): (B, C, h, w) or (B, N, C).
    fn run(&self, pixels: &Tensor) -> Result<Tensor, String> {
        let images = normalise(pixels, &self.config.mean, &self.config.std);
        let output = no_grad(|| self.module.forward_ts(&[images]));
        match output {
            Ok(output) => Ok(output.to_kind(Kind::Float)),
            Err(e) => Err(format!("the module fails: {}", first_line(&e))),
        }
    }

    /// Compares the shape of the output for two images with the config.
    fn fit(&mut self, shape: &[i64]) -> Result<(), String> {
        let config = &mut self.config;
        let (found, channels) = match (config.output, shape) {
            (Form::Map, &[2, channels, height, width]) => ([height, width], channels),
            (Form::Tokens, &[2, tokens, channels]) => {
                let cells = tokens - config.skip;
                let [height, width] = config.image_size;
                let side = cells.max(0).isqrt();
                let grid = match config.grid {
                    [0, 0] if height == width && side * side == cells => [side; 2],
                    grid => grid,
                };
                if grid[0] * grid[1] != cells || cells < 1 {
                    return Err(format!(
                        "{tokens} tokens without the first {} are not the cells of a grid of {} x {}; set grid and skip",
                        config.skip, grid[0], grid[1]
                    ));
                }
                (grid, channels)
            }
            (output, _) => {
                return Err(format!(
                    "its output for 2 images is {shape:?}; output = \"{output}\" is {}",
                    match output {
                        Form::Map => "[2, channels, height, width]",
                        Form::Tokens => "[2, tokens, channels]",
                    }
                ));
            }
        };
        let expected = (config.grid, config.channels);
        if ![[0, 0], found].contains(&config.grid) || ![0, channels].contains(&config.channels) {
            return Err(format!(
                "a grid of {found:?} with {channels} channels, not of {:?} with {}",
                expected.0, expected.1
            ));
        }
        (config.grid, config.channels) = (found, channels);
        Ok(())
    }
}

impl FrozenEncoder for TorchScript {
    fn cells(&self, pixels: &Tensor) -> Result<Cells> {
        let TorchScriptConfig {
            output,
            skip,
            grid,
            channels,
            ..
        } = self.config;
        let count = grid[0] * grid[1];
        let out = self.run(pixels).map_err(Error::Encoder)?;
        let cells = match output {
            Form::Map if out.dim() == 4 => out.flatten(2, 3).transpose(1, 2),
            Form::Tokens if out.dim() == 3 && out.size()[1] == skip + count => {
                out.narrow(1, skip, count)
            }
            _ => out,
        }; // (B, p, C)
        match cells.size() == [pixels.size()[0], count, channels] {
            true => Ok(Cells { cells, grid }),
            false => Err(Error::Encoder(format!(
                "the module's output has other sizes than before: {:?}",
                cells.size()
            ))),
        }
    }
}

/// The first line of an error of libtorch's that says something: a trace of its calls
/// follows.
fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    lines
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}
