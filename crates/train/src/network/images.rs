//! The source of the decoder's cells: an encoder that runs in training, or features that
//! were computed before.

use attend_model::weights::{self, StateDict};
use attend_model::{Arena, Cells, Encoder, FrozenEncoder, Learning, ResNetConfig, encoder};
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, nn};

/// The source of a batch's cells.
pub(super) enum Images {
    /// Features, which are cells of this grid. The file is the encoder's, for checkpoints,
    /// unless another program has the encoder.
    Features {
        grid: [i64; 2],
        file: Option<PathBuf>,
    },
    /// Pixels, which an encoder that is never trained turns into cells. The file is the
    /// encoder's, for checkpoints.
    Frozen {
        encoder: Box<dyn FrozenEncoder>,
        file: PathBuf,
    },
    /// Pixels, which the encoder turns into cells.
    Pixels(Pixels),
}

/// An encoder that runs in training, and may be trained.
pub(super) struct Pixels {
    encoder: Box<dyn Encoder>,
    pub vars: nn::VarStore,
    learning: Learning,
}

impl Images {
    /// The cells of a batch's images, as tensors of `kind`. With `train`, autograd records
    /// an encoder that is trained.
    ///
    /// # Errors
    /// [`Error::Input`] if an encoder that is never trained fails.
    pub fn cells(&self, images: &Tensor, train: bool, kind: Kind) -> Result<Cells> {
        let (cells, grid) = match self {
            Images::Features { grid, .. } => (images.shallow_clone(), *grid),
            Images::Frozen { encoder, .. } => {
                let Cells { cells, grid } = encoder.cells(images).map_err(Error::input)?;
                (cells, grid)
            }
            Images::Pixels(pixels) => return Ok(pixels.cells(images, train, kind)),
        };
        let cells = cells.to_kind(kind);
        Ok(Cells { cells, grid })
    }

    /// The encoder's trained parameters, sorted by name.
    pub fn learning(&self) -> Vec<(String, Tensor)> {
        match self {
            Images::Features { .. } | Images::Frozen { .. } => Vec::new(),
            Images::Pixels(pixels) => (named(&pixels.vars).into_iter())
                .filter(|(_, tensor)| tensor.requires_grad())
                .collect(),
        }
    }
}

impl Pixels {
    /// An encoder with random weights (from `seed`) or those of a file.
    ///
    /// # Errors
    /// [`Error::Input`] if the file can't be read or is another encoder's.
    pub fn new(
        config: &ResNetConfig,
        weights: Option<&Path>,
        learning: Learning,
        seed: u64,
        device: Device,
    ) -> Result<Pixels> {
        let vars = nn::VarStore::new(device);
        tch::manual_seed(seed as i64);
        let encoder = encoder::new(&vars.root(), config);
        if let Some(path) = weights {
            let dict = weights::read(path).map_err(Error::input)?;
            encoder
                .load(&vars, &dict)
                .map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
        }
        for (name, tensor) in vars.variables() {
            if tensor.requires_grad() && !encoder.learns(&name, learning) {
                let _ = tensor.set_requires_grad(false);
            }
        }
        Ok(Pixels {
            encoder,
            vars,
            learning,
        })
    }

    fn cells(&self, images: &Tensor, train: bool, kind: Kind) -> Cells {
        let encode = || {
            self.encoder
                .encode(images, train && self.learning == Learning::Whole, kind)
        };
        match self.learning {
            Learning::FineTune | Learning::Whole if train => encode(),
            _ => tch::no_grad(encode),
        }
    }
}

/// Makes autograd accumulate the parameters' gradients in `arena` from now on. Their
/// previous gradients are dropped.
pub(super) fn adopt<'a>(parameters: impl Iterator<Item = (&'a str, &'a Tensor)>, arena: &Arena) {
    for ((_, parameter), (_, view)) in parameters.zip(arena.views()) {
        let mut gradient = parameter.grad();
        if gradient.defined() && gradient.data_ptr() != view.data_ptr() {
            view.shallow_clone().copy_(&gradient);
            gradient.set_data(view);
        }
    }
}

/// Variables by name.
pub(super) fn named(vars: &nn::VarStore) -> StateDict {
    vars.variables().into_iter().collect()
}
