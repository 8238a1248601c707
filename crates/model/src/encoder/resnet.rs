//! ResNet encoders (He et al. 2015) with spatial output, under torchvision's
//! parameter names.

use super::interface::{Cells, Encoder, FrozenEncoder, Learning};
use super::names;
use super::pixels::normalise;
use crate::weights::{self, StateDict};
use crate::{Error, Result};
use attend_artifact::model::{ResNetConfig, StrideIn};
use std::collections::HashSet;
use tch::nn::{self, Init};
use tch::{Kind, Tensor, no_grad};

/// Mean and standard deviation of ImageNet's channels, for values from 0 to 1.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// A ResNet up to its last stage.
pub struct ResNet {
    config: ResNetConfig,
    stem: Unit,
    blocks: Vec<Block>,
}

/// A convolution and its BatchNorm.
struct Unit {
    weight: Tensor, // (out, in, k, k)
    norm: Norm,
    stride: i64,
}

enum Norm {
    Batch {
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
    }, // (out) each
    Folded {
        bias: Tensor,
    },
}

/// A residual block.
struct Block {
    units: Vec<Unit>,
    downsample: Option<Unit>,
}

impl ResNet {
    /// An encoder with random weights, initialised like torchvision's.
    pub fn new(p: &nn::Path, config: &ResNetConfig) -> ResNet {
        let stem = Unit::new(&(p / "conv1"), &(p / "bn1"), [3, 64], 7, 2);
        let mut blocks = Vec::new();
        let mut channels = 64;
        for (layer, count) in (0..=config.last_stage as i64).zip(config.arch.blocks()) {
            let path = p / format!("layer{}", layer + 1);
            for block in 0..count {
                let stride = if block == 0 && layer > 0 { 2 } else { 1 };
                blocks.push(Block::new(
                    &(&path / block),
                    config,
                    &mut channels,
                    64 << layer,
                    stride,
                ));
            }
        }
        ResNet {
            config: config.clone(),
            stem,
            blocks,
        }
    }

    /// Feature maps (B, C, h, w) of normalised `images` (B, 3, H, W). Their kind, f32 or
    /// lower, is that of the convolutions and of the result. With `batch_norm_train`,
    /// BatchNorm uses the batch's statistics and updates its own.
    pub fn forward(&self, images: &Tensor, batch_norm_train: bool) -> Tensor {
        // Convolutions are faster on CPUs with channels innermost.
        let images = channels_last(images);
        let x = self.stem.forward(&images, batch_norm_train).relu(); // (B, 64, H/2, W/2)
        let x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false); // (B, 64, H/4, W/4)
        self.blocks
            .iter()
            .fold(x, |x, block| block.forward(&x, batch_norm_train))
    }

    /// The same encoder with BatchNorm folded into the convolutions, whose weights are in
    /// channels-last order.
    pub fn folded(&self) -> ResNet {
        let fold = |block: &Block| Block {
            units: block.units.iter().map(Unit::folded).collect(),
            downsample: block.downsample.as_ref().map(Unit::folded),
        };
        no_grad(|| ResNet {
            config: self.config.clone(),
            stem: self.stem.folded(),
            blocks: self.blocks.iter().map(fold).collect(),
        })
    }
}

impl Encoder for ResNet {
    fn encode(&self, pixels: &Tensor, train: bool, kind: Kind) -> Cells {
        let map = self.forward(&normalised(pixels).to_kind(kind), train); // (B, C, h, w)
        let size = map.size();
        Cells {
            cells: map.flatten(2, 3).transpose(1, 2),
            grid: [size[2], size[3]],
        }
    }

    fn grid(&self, image_size: [i64; 2]) -> [i64; 2] {
        self.config.grid(image_size)
    }

    fn channels(&self) -> i64 {
        self.config.channels()
    }

    fn learns(&self, parameter: &str, learning: Learning) -> bool {
        match learning {
            Learning::Frozen => false,
            Learning::FineTune => {
                (["layer2.", "layer3.", "layer4."].iter()).any(|layer| parameter.starts_with(layer))
            }
            Learning::Whole => true,
        }
    }

    /// The names are torchvision's or those of `names::as_torchvision`. They may share a
    /// prefix, such as `module.` or `backbone.`. Ignores stages after the last one, other
    /// modules, such as a classifier, and BatchNorm's counters.
    fn load(&self, vars: &nn::VarStore, dict: &StateDict) -> Result<()> {
        let names: Vec<String> = vars.variables().into_keys().collect();
        let renamed = names::as_torchvision(dict);
        let prefix = prefix(&names, &renamed)?;
        let own: StateDict = (renamed.iter())
            .filter_map(|(name, tensor)| {
                Some((
                    name.strip_prefix(prefix)?.to_owned(),
                    tensor.shallow_clone(),
                ))
            })
            .collect();
        let module = |name: &str| name.split('.').next().map(str::to_owned);
        let modules: HashSet<_> = names.iter().map(|name| module(name)).collect();
        weights::assign(vars, &own, &|name| {
            name.ends_with(".num_batches_tracked") || !modules.contains(&module(name))
        })
        .map_err(|e| {
            let found: Vec<&str> = dict.keys().take(3).map(String::as_str).collect();
            let found = match names.iter().any(|name| own.contains_key(name)) {
                false if !found.is_empty() => format!("; the file has {}, …", found.join(", ")),
                _ => String::new(),
            };
            Error::Mismatch(format!(
                "not the weights of {:?} up to {:?}: {e}{found}",
                self.config.arch, self.config.last_stage
            ))
        })
    }

    fn frozen(&self) -> Box<dyn FrozenEncoder> {
        Box::new(self.folded())
    }
}

impl FrozenEncoder for ResNet {
    fn cells(&self, pixels: &Tensor) -> Result<Cells> {
        Ok(no_grad(|| self.encode(pixels, false, Kind::Float)))
    }
}

/// The prefix of these names in a state dict: the one with which most of them are found.
fn prefix<'a>(names: &[String], dict: &'a StateDict) -> Result<&'a str> {
    let prefixes = (dict.keys())
        .filter_map(|name| name.strip_suffix("conv1.weight"))
        .filter(|prefix| names::is_prefix(prefix));
    let found = |prefix: &str| {
        let is_there = |name: &&String| dict.contains_key(&format!("{prefix}{name}"));
        names.iter().filter(is_there).count()
    };
    let mut prefixes: Vec<(usize, &str)> = prefixes.map(|prefix| (found(prefix), prefix)).collect();
    // A stable sort: among equals, "" stays first.
    prefixes.sort_by_key(|(found, _)| std::cmp::Reverse(*found));
    match prefixes[..] {
        [(first, a), (second, b), ..]
            if first == second && first == names.len() && !a.is_empty() =>
        {
            Err(Error::Mismatch(format!(
                "holds two networks that fit, {a} and {b}; save only the intended one: torch.save(torch.load(FILE)[KEY], NEW)"
            )))
        }
        [(_, prefix), ..] => Ok(prefix),
        [] => Ok(""),
    }
}

impl Unit {
    fn new(
        conv: &nn::Path,
        norm: &nn::Path,
        [input, output]: [i64; 2],
        kernel: i64,
        stride: i64,
    ) -> Unit {
        let kaiming = Init::Kaiming {
            dist: nn::init::NormalOrUniform::Normal,
            fan: nn::init::FanInOut::FanOut,
            non_linearity: nn::init::NonLinearity::ReLU,
        };
        Unit {
            weight: conv.var("weight", &[output, input, kernel, kernel], kaiming),
            norm: Norm::Batch {
                weight: norm.ones("weight", &[output]),
                bias: norm.zeros("bias", &[output]),
                mean: norm.zeros_no_train("running_mean", &[output]),
                var: norm.ones_no_train("running_var", &[output]),
            },
            stride,
        }
    }

    fn forward(&self, x: &Tensor, batch_norm_train: bool) -> Tensor {
        let padding = self.weight.size()[2] / 2;
        let convolve = |bias: Option<&Tensor>| {
            x.conv2d(
                &self.weight.to_kind(x.kind()),
                bias,
                [self.stride; 2],
                [padding; 2],
                [1, 1],
                1,
            )
        };
        match &self.norm {
            Norm::Folded { bias } => convolve(Some(bias)),
            Norm::Batch {
                weight,
                bias,
                mean,
                var,
            } => convolve(None).batch_norm(
                Some(weight),
                Some(bias),
                Some(mean),
                Some(var),
                batch_norm_train,
                0.1,
                BATCH_NORM_EPSILON,
                false,
            ),
        }
    }

    fn folded(&self) -> Unit {
        let (scale, bias) = match &self.norm {
            Norm::Batch {
                weight,
                bias,
                mean,
                var,
            } => {
                let scale = weight / (var + BATCH_NORM_EPSILON).sqrt();
                (scale.shallow_clone(), bias - mean * scale)
            }
            Norm::Folded { bias } => (bias.ones_like(), bias.shallow_clone()),
        };
        let weight = (&self.weight * scale.view([-1, 1, 1, 1])).detach();
        Unit {
            weight: channels_last(&weight),
            norm: Norm::Folded {
                bias: bias.detach(),
            },
            stride: self.stride,
        }
    }
}

impl Block {
    /// A block from `channels` to `width` channels (times 4 in bottlenecks).
    fn new(
        p: &nn::Path,
        config: &ResNetConfig,
        channels: &mut i64,
        width: i64,
        stride: i64,
    ) -> Block {
        let unit = |index: usize, sizes: [i64; 2], kernel: i64, stride: i64| {
            Unit::new(
                &(p / format!("conv{index}")),
                &(p / format!("bn{index}")),
                sizes,
                kernel,
                stride,
            )
        };
        let input = *channels;
        let (units, output) = if config.arch.is_bottleneck() {
            let (first, second) = match config.stride_in {
                StrideIn::Conv1x1 => (stride, 1),
                StrideIn::Conv3x3 => (1, stride),
            };
            let units = vec![
                unit(1, [input, width], 1, first),
                unit(2, [width, width], 3, second),
                unit(3, [width, 4 * width], 1, 1),
            ];
            (units, 4 * width)
        } else {
            (
                vec![
                    unit(1, [input, width], 3, stride),
                    unit(2, [width, width], 3, 1),
                ],
                width,
            )
        };
        let path = p / "downsample";
        let downsample = (stride != 1 || input != output)
            .then(|| Unit::new(&(&path / 0), &(&path / 1), [input, output], 1, stride));
        *channels = output;
        Block { units, downsample }
    }

    fn forward(&self, x: &Tensor, batch_norm_train: bool) -> Tensor {
        let last = self.units.len() - 1;
        let y = self
            .units
            .iter()
            .enumerate()
            .fold(x.shallow_clone(), |y, (index, unit)| {
                let y = unit.forward(&y, batch_norm_train);
                if index < last { y.relu() } else { y }
            });
        match &self.downsample {
            Some(unit) => (y + unit.forward(x, batch_norm_train)).relu(),
            None => (y + x).relu(),
        }
    }
}

/// Pixels u8 (B, 3, H, W) as f32, normalised by ImageNet's mean and standard deviation.
pub fn normalised(pixels: &Tensor) -> Tensor {
    normalise(pixels, &MEAN, &STD)
}

/// The same tensor (B, C, h, w) with channels innermost in memory.
fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
