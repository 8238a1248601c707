//! Parameters by name, for decoders that have many.

use attend_artifact::model::Parameters;
use std::collections::BTreeMap;
use tch::nn::{self, Init};
use tch::{Kind, Tensor};

/// A decoder's parameters by name.
pub(super) struct Weights(BTreeMap<String, Tensor>);

impl Weights {
    /// Random weights of these names and shapes.
    pub fn new(p: &nn::Path, shapes: &Parameters, init: impl Fn(&str) -> Init) -> Weights {
        let variable = |(name, shape): (&String, &Vec<i64>)| {
            let (layer, parameter) = split(name);
            let path = layer.split('.').fold(p.clone(), |path, part| path / part);
            (name.clone(), path.var(parameter, shape, init(name)))
        };
        Weights(shapes.iter().map(variable).collect())
    }

    /// A parameter.
    #[expect(clippy::expect_used, reason = "the names are the decoder's own")]
    pub fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).expect("a parameter of the decoder")
    }

    /// All parameters. Those with an odd number of elements come last, so that the others are
    /// aligned for vector instructions.
    pub fn list(&self) -> Vec<(String, Tensor)> {
        let mut all: Vec<(String, Tensor)> = (self.0.iter())
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect();
        all.sort_by_key(|(_, tensor)| tensor.numel() % 16 != 0);
        all
    }

    /// With another tensor for each.
    pub fn map(&self, of: impl Fn(&str, &Tensor) -> Tensor) -> Weights {
        let named = self.0.iter();
        Weights(named.map(|(name, t)| (name.clone(), of(name, t))).collect())
    }

    /// With matrices of this kind, except tables of `embedding`s.
    pub fn in_kind(&self, kind: Kind, embedding: &str) -> Weights {
        self.map(
            |name, tensor| match tensor.dim() == 2 && name != embedding {
                true => tensor.to_kind(kind),
                false => tensor.shallow_clone(),
            },
        )
    }
}

/// Layer and parameter: `core.i2h` and `weight`.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// How PyTorch initialises the parameters of linear layers and of LSTM cells.
pub(super) fn pytorchs(name: &str, shapes: &Parameters) -> Init {
    let (layer, parameter) = split(name);
    let inputs = match parameter {
        "weight" | "bias" => shapes[&format!("{layer}.weight")][1],
        _ => shapes[name][0] / 4, // of an LSTM: its width
    };
    let bound = 1.0 / (inputs as f64).sqrt();
    Init::Uniform {
        lo: -bound,
        up: bound,
    }
}
