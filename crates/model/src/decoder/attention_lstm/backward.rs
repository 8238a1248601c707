//! The backward pass from the gradients of logits and attention, written by hand.
//!
//! Only the gradients of h and c are propagated from step to step; those of the weights are
//! one product each over the rows of all steps. The backward pass overwrites what the
//! forward pass kept: `heads` and `gates` become the gradients of their values before the
//! activation functions, `context` becomes its own gradient.

use super::forward::{Kept, Teacher};
use super::{HEADS, HEADS_BIAS, INIT, INIT_BIAS};
use crate::decoder::additive::CellGradients;
use crate::decoder::captions::steps;
use crate::decoder::dropout;
use crate::decoder::{Gradients, Output, OutputGradients, Pass};
use crate::product::{across, product, sum_by, through};
use attend_artifact::model::DecoderConfig;
use tch::Tensor;

/// Gradients from which that of the features is computed.
struct ImageGradients {
    projected: Tensor, // (n, p, A)
    mean: Tensor,      // (B, C)
}

impl Pass for Teacher<'_> {
    fn output(&self) -> &Output {
        &self.output
    }

    fn backward(
        self: Box<Self>,
        gradients: OutputGradients,
        into: &mut Gradients,
        of_cells: bool,
    ) -> Option<Tensor> {
        into.pass(self.images.features.kind(), |into| {
            let grad_hidden = self.through_words(&gradients.logits, into); // (N, H)
            let mut cells = self.cells.gradients();
            let grad_init = self.through_steps(&grad_hidden, &gradients.attention, &mut cells);
            let grad_images = self.of_weights(cells, &grad_init, into);
            of_cells.then(|| self.of_features(&grad_images))
        })
    }
}

impl Teacher<'_> {
    /// The backward pass of the output layer. Returns the gradient of h_t (N, H).
    fn through_words(&self, logits: &Tensor, into: &Gradients) -> Tensor {
        into.product(into.view("fc.weight"), logits, &self.kept.dropped);
        into.add_rows(into.view("fc.bias"), logits);
        let grad_dropped = through(logits, &self.joined.fc, &None); // (N, H)
        dropout::through(grad_dropped, &self.kept.mask)
    }

    /// The backward pass of the steps, the last one first. Returns the gradients of h_0 and
    /// c_0, (B, 2H).
    fn through_steps(
        &self,
        grad_hidden: &Tensor,
        grad_attention: &Tensor,
        grad_cells: &mut CellGradients,
    ) -> Tensor {
        let DecoderConfig {
            channels,
            hidden,
            attention,
            ..
        } = self.decoder.config;
        let kept = &self.kept;
        let options = (grad_hidden.kind(), grad_hidden.device());
        // The weights are not contiguous along the sums here, so transposed copies are
        // used.
        let most = self.output.captions();
        let [heads_across, context_across] =
            [&self.joined.heads, &self.joined.context].map(|w| across(most, w));
        // The gradients of h and c from the following step.
        let mut after = Tensor::zeros([0, hidden], options);
        let mut after_c = Tensor::zeros([0, hidden], options);
        let mut later = 0;
        let firsts = steps(&self.output.counts);
        for (t, (at, b)) in firsts.iter().copied().enumerate().rev() {
            let at_step = |all: &Tensor| all.narrow(0, at, b);
            let before = match t {
                0 => kept.first_cell.shallow_clone(),
                _ => kept.cell.narrow(0, firsts[t - 1].0, b),
            };
            // LSTM
            let grad_h = at_step(grad_hidden);
            let mut grad_later = grad_h.narrow(0, 0, later);
            grad_later += &after;
            let gates = at_step(&kept.gates);
            let gate = |index: i64| gates.narrow(1, index * hidden, hidden);
            let tanh = at_step(&kept.tanh);
            let grad_c = Tensor::tanh_backward(&(&grad_h * gate(3)), &tanh);
            let mut grad_later = grad_c.narrow(0, 0, later);
            grad_later += &after_c;
            let grad_o = Tensor::sigmoid_backward(&(&grad_h * tanh), &gate(3));
            let grad_i = Tensor::sigmoid_backward(&(&grad_c * gate(2)), &gate(0));
            let grad_f = Tensor::sigmoid_backward(&(&grad_c * before), &gate(1));
            let grad_g = Tensor::tanh_backward(&(&grad_c * gate(0)), &gate(2));
            after_c = grad_c * gate(1);
            let _ = Tensor::cat_out(&gates, &[grad_i, grad_f, grad_g, grad_o], 1);
            // context
            let heads = at_step(&kept.heads);
            let query = heads.narrow(1, 0, attention);
            let gate = heads.narrow(1, attention, channels);
            let grad_gated = through(&gates, &self.joined.context, &context_across); // (b, C)
            let grad_gate =
                Tensor::sigmoid_backward(&(&grad_gated * at_step(&kept.context)), &gate);
            let grad_context = at_step(&kept.context);
            let _ = grad_gated.mul_out(&grad_context, &gate);
            // attention
            let mut grad_alpha = at_step(grad_attention).copy(); // (b, P)
            if self.output.drawn.is_none() {
                let weights = self.cells.context_back(&grad_context); // (b, p)
                grad_alpha += match self.images.resampling.later() {
                    Some(r) => weights.mm(&r.tr()),
                    None => weights,
                };
            }
            let alpha = at_step(&self.output.attention);
            let grad_scores =
                Tensor::internal_softmax_backward_data(&grad_alpha, &alpha, -1, alpha.kind());
            let grad_query = self.cells.scores_back(&query, &grad_scores, grad_cells); // (b, A)
            let _ = Tensor::cat_out(&heads, &[&grad_query, &grad_gate, &gates], 1);
            after = through(&heads, &self.joined.heads, &heads_across); // (b, H)
            later = b;
        }
        Tensor::cat(&[after, after_c], 1)
    }

    /// The gradients of the weights that the steps share.
    fn of_weights(
        &self,
        grad_cells: CellGradients,
        grad_init: &Tensor,
        into: &Gradients,
    ) -> ImageGradients {
        let DecoderConfig {
            channels,
            embedding,
            attention,
            vocabulary,
            ..
        } = self.decoder.config;
        let kept = &self.kept;
        into.product(&into.joined(&HEADS), &kept.heads, &kept.previous);
        let grad_bias = kept.heads.sum_dim_intlist(0i64, false, None);
        into.add(&into.joined(&HEADS_BIAS), &grad_bias);
        let gates = &kept.gates;
        // Both biases are added to the same sum.
        let grad_gates = grad_bias.narrow(0, attention + channels, gates.size()[1]);
        into.add(into.view("decode_step.bias_ih"), &grad_gates);
        let weight_ih = into.view("decode_step.weight_ih");
        into.product(&weight_ih.narrow(1, 0, embedding), gates, &kept.embedded);
        let grad_context = weight_ih.narrow(1, embedding, channels);
        into.product(&grad_context, gates, &kept.gated);
        let grad_embedded = through(gates, &self.joined.word, &None); // (N, E)
        let grad_embedding =
            Tensor::embedding_dense_backward(&grad_embedded, &kept.inputs, vocabulary, -1, false);
        into.add(into.view("embedding.weight"), &grad_embedding);
        into.product(&into.joined(&INIT), grad_init, &kept.mean);
        into.add_rows(&into.joined(&INIT_BIAS), grad_init);
        into.add(into.view("attention.full_att.weight"), &grad_cells.vector);
        // This bias does not change the softmax.
        let grad_score = into.view("attention.full_att.bias");
        into.add(grad_score, &grad_score.zeros_like());
        let projected = self.cells.of_keys(grad_cells); // (n, P, A)
        let projected = self.images.resampling.spread_back(projected); // (n, p, A)
        let rows = projected.reshape([-1, attention]);
        into.product(
            into.view("attention.encoder_att.weight"),
            &rows,
            &self.images.features.view([-1, channels]),
        );
        into.add_rows(into.view("attention.encoder_att.bias"), &rows);
        ImageGradients {
            projected,
            mean: product(grad_init, &self.joined.init),
        }
    }

    /// The gradient of the cells that [`Decoder::project`](crate::Decoder::project) was
    /// given.
    fn of_features(&self, grad_images: &ImageGradients) -> Tensor {
        let features = self.images.features; // (n, p, C)
        let size = features.size();
        let encoder_att = self.decoder.encoder_att.ws.to_kind(features.kind()); // (A, C)
        let mut sum = product(&grad_images.projected.flatten(0, 1), &encoder_att).view_(&size); // (n, p, C)
        let mean = sum_by(self.cells.image, size[0], &grad_images.mean); // (n, C)
        let resampling = &self.images.resampling;
        sum += resampling.mean_back(&mean, size[1]);
        let Kept {
            weights, context, ..
        } = &self.kept;
        sum += (self.cells).of_values(&self.output.caption_of_row(), weights, context);
        resampling.keep_back(sum)
    }
}
