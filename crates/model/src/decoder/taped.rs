//! For decoders whose backward pass is autograd's: a pass with its tape.
//!
//! Each pass records views of the parameters, so that nothing else is recorded. In mixed
//! precision, matrices are converted to the cells' kind once for each pass, and the product
//! of a vector is rounded to it, as PyTorch's autocast does.

use super::parameters::Weights;
use super::{Captions, Gradients, Images, Output, OutputGradients, Pass, Resampling, Rows};
use attend_artifact::model::DecoderConfig;
use tch::{Kind, Tensor};

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
        let (names, leaves): (Vec<_>, Vec<_>) = self.weights.iter().unzip();
        let leaves: Vec<&Tensor> = (leaves.into_iter())
            .chain(of_cells.then_some(&self.cells))
            .collect();
        let mut found = Tensor::run_backward(&[scalar], &leaves, false, false);
        let cells = of_cells.then(|| found.pop()).flatten();
        let cells = cells.map(|cells| cells.to_kind(into.arena().numbers().kind()));
        tch::no_grad(|| {
            for (name, gradient) in names.iter().zip(&found) {
                into.add(into.view(name), gradient);
            }
        });
        into.end();
        cells.map(|cells| self.images.resampling.keep_back(cells))
    }
}
