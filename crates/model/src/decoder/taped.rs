//! For decoders whose backward pass is autograd's: parameters by name, and a pass with its
//! tape.
//!
//! Each pass records views of the parameters, so that nothing else is recorded. In mixed
//! precision, matrices are converted to the cells' kind once for each pass, and the product
//! of a vector is rounded to it, as PyTorch's autocast does.

use super::{Captions, Gradients, Images, Output, OutputGradients, Pass, Resampling, Rows};
use crate::product::add_product;
use attend_artifact::model::{DecoderConfig, Parameters};
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

    /// `x w^T + bias` of a layer.
    pub fn linear(&self, layer: &str, x: &Tensor) -> Tensor {
        let parameter = |name: &str| self.get(&format!("{layer}.{name}"));
        affine(x, parameter("weight"), Some(parameter("bias")))
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

    /// With parts of a matrix's columns as further weights, `NAME.PART`.
    pub fn with_columns(mut self, name: &str, parts: &[(&str, i64)]) -> Weights {
        let widths: Vec<i64> = parts.iter().map(|(_, width)| *width).collect();
        let columns = self.get(name).split_with_sizes(&widths, 1);
        let names = parts.iter().map(|(part, _)| format!("{name}.{part}"));
        self.0.extend(names.zip(columns));
        self
    }

    /// Other handles of the same tensors.
    pub fn shallow_clone(&self) -> Weights {
        self.map(|_, tensor| tensor.shallow_clone())
    }

    fn map(&self, of: impl Fn(&str, &Tensor) -> Tensor) -> Weights {
        let named = self.0.iter();
        Weights(named.map(|(name, t)| (name.clone(), of(name, t))).collect())
    }

    /// With matrices of this kind, except tables of `embedding`s.
    fn in_kind(&self, kind: Kind, embedding: &str) -> Weights {
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

/// `x w^T + bias`, computed in w's kind and returned in x's.
pub(super) fn affine(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let kind = w.kind();
    if x.dim() == 2 && x.kind() == kind && !w.requires_grad() {
        let rows = x.size()[0];
        let out = match bias {
            Some(bias) => bias.repeat([rows, 1]),
            None => Tensor::zeros([rows, w.size()[0]], (kind, w.device())),
        };
        add_product(&out, x, w);
        return out;
    }
    let bias = bias.map(|bias| bias.to_kind(kind));
    x.to_kind(kind).linear(w, bias).to_kind(x.kind())
}

/// Images for [`record`]: the cells only. `kind` is that of the weights.
pub(super) fn prepare(
    cells: &Tensor,
    native: [i64; 2],
    config: &DecoderConfig,
    kind: Kind,
) -> Images {
    let (grid, resampling) = Resampling::new(native, config.grid, (kind, cells.device()));
    Images {
        rows: Rows::new(vec![tch::no_grad(|| resampling.keep(cells))]),
        resampling,
        grid,
    }
}

/// A forward pass with its tape.
struct Taped<'a> {
    output: Output,
    /// Logits and attention with their history.
    recorded: [Tensor; 2],
    weights: Weights,
    cells: Tensor,
    images: &'a Images,
}

/// Records a forward pass: `forward` computes logits (N, V) and attention (N, P) from
/// parameters and cells, the first tensor of `images`.
pub(super) fn record<'a>(
    weights: &Weights,
    embedding: &str,
    images: &'a Images,
    captions: Captions,
    forward: impl FnOnce(Weights, &Tensor) -> (Tensor, Tensor),
) -> Box<dyn Pass + 'a> {
    tch::with_grad(|| {
        let leaf = |tensor: &Tensor| tensor.detach().set_requires_grad(true);
        let weights = weights.map(|_, tensor| leaf(tensor));
        let cells = leaf(&images.rows.tensors()[0]);
        let (logits, attention) = forward(weights.in_kind(cells.kind(), embedding), &cells);
        let counts = captions.counts();
        let output = Output {
            logits: logits.detach(),
            targets: captions.packed(&counts, 1),
            attention: attention.detach(),
            drawn: None,
            counts,
        };
        Box::new(Taped {
            output,
            recorded: [logits, attention],
            weights,
            cells,
            images,
        }) as Box<dyn Pass + 'a>
    })
}

impl Pass for Taped<'_> {
    fn output(&self) -> &Output {
        &self.output
    }

    fn backward(
        self: Box<Self>,
        gradients: OutputGradients,
        into: &mut Gradients,
        of_cells: bool,
    ) -> Option<Tensor> {
        // The gradient of this scalar is the one that is asked for.
        let scalar = tch::with_grad(|| {
            let [logits, attention] = &self.recorded;
            (logits * gradients.logits).sum(None) + (attention * gradients.attention).sum(None)
        });
        let leaves = self
            .weights
            .0
            .values()
            .chain(of_cells.then_some(&self.cells));
        let leaves: Vec<&Tensor> = leaves.collect();
        let mut found = Tensor::run_backward(&[scalar], &leaves, false, false);
        let cells = of_cells.then(|| found.pop()).flatten();
        let cells = cells.map(|cells| cells.to_kind(into.arena().numbers().kind()));
        tch::no_grad(|| {
            for (name, gradient) in self.weights.0.keys().zip(&found) {
                into.add(into.view(name), gradient);
            }
        });
        into.end();
        match self.images.resampling.before() {
            Some(r) => cells.map(|cells| r.to_kind(cells.kind()).tr().matmul(&cells)),
            None => cells,
        }
    }
}
