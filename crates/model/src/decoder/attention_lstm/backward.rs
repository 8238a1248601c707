//! The way back from the gradients of logits and attention, by hand.
//!
//! Only the gradients of h and c go back through the steps; those of the weights are one
//! product each over the rows of all steps. What the forward pass kept is written over on
//! the way: `heads` and `gates` end as the gradients of what they held before their
//! sigmoids, `context` as its own gradient.

use super::attention::CellGradients;
use super::forward::Teacher;
use super::{HEADS, HEADS_BIAS, INIT, INIT_BIAS};
use crate::decoder::captions::steps;
use crate::decoder::{Gradients, Output, OutputGradients, Pass};
use crate::product::{add_product, product, reads_in_place, sum_by};
use attend_artifact::model::DecoderConfig;
use tch::Tensor;

/// Gradients on their way to the features.
struct OfImages {
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
        into.begin(self.cells.images.features.kind());
        let of_features = tch::no_grad(|| {
            let of_hidden = self.through_words(&gradients.logits, into); // (N, H)
            let mut cells = self.cells.gradients();
            let of_init = self.through_steps(&of_hidden, &gradients.attention, &mut cells);
            let of_images = self.of_weights(cells, &of_init, into);
            of_cells.then(|| self.of_features(&of_images))
        });
        into.end();
        of_features
    }
}

impl Teacher<'_> {
    /// Through the last layer: the gradient of h_t (N, H).
    fn through_words(&self, logits: &Tensor, into: &Gradients) -> Tensor {
        into.product(into.view("fc.weight"), logits, &self.kept.dropped);
        into.add_rows(into.view("fc.bias"), logits);
        let of_dropped = through(logits, &self.joined.fc, &None); // (N, H)
        match &self.kept.mask {
            Some(mask) => of_dropped * mask,
            None => of_dropped,
        }
    }

    /// Through the steps, the last one first: the gradients of h_0 and c_0, (B, 2H).
    fn through_steps(
        &self,
        of_hidden: &Tensor,
        of_attention: &Tensor,
        of_cells: &mut CellGradients,
    ) -> Tensor {
        let DecoderConfig {
            channels,
            hidden,
            attention,
            ..
        } = self.decoder.config;
        let kept = &self.kept;
        let options = (of_hidden.kind(), of_hidden.device());
        // The weights lie across the sums here: a copy lies along them.
        let most = self.output.captions();
        let across = |w: &Tensor| reads_in_place(most, w).then(|| w.tr().contiguous());
        let (heads_across, context_across) =
            (across(&self.joined.heads), across(&self.joined.context));
        // Of h and c, from the step that was last done.
        let mut after = Tensor::zeros([0, hidden], options);
        let mut after_c = Tensor::zeros([0, hidden], options);
        let mut later = 0;
        let firsts = steps(&self.output.counts);
        for (t, (at, b)) in firsts.iter().copied().enumerate().rev() {
            let of = |all: &Tensor| all.narrow(0, at, b);
            let before = match t {
                0 => kept.first_cell.shallow_clone(),
                _ => kept.cell.narrow(0, firsts[t - 1].0, b),
            };
            // LSTM
            let of_h = of(of_hidden);
            let mut of_later = of_h.narrow(0, 0, later);
            of_later += &after;
            let gates = of(&kept.gates);
            let gate = |index: i64| gates.narrow(1, index * hidden, hidden);
            let tanh = of(&kept.tanh);
            let of_c = Tensor::tanh_backward(&(&of_h * gate(3)), &tanh);
            let mut of_later = of_c.narrow(0, 0, later);
            of_later += &after_c;
            let of_o = Tensor::sigmoid_backward(&(&of_h * tanh), &gate(3));
            let of_i = Tensor::sigmoid_backward(&(&of_c * gate(2)), &gate(0));
            let of_f = Tensor::sigmoid_backward(&(&of_c * before), &gate(1));
            let of_g = Tensor::tanh_backward(&(&of_c * gate(0)), &gate(2));
            after_c = of_c * gate(1);
            let _ = Tensor::cat_out(&gates, &[of_i, of_f, of_g, of_o], 1);
            // context
            let heads = of(&kept.heads);
            let query = heads.narrow(1, 0, attention);
            let gate = heads.narrow(1, attention, channels);
            let of_gated = through(&gates, &self.joined.context, &context_across); // (b, C)
            let of_gate = Tensor::sigmoid_backward(&(&of_gated * of(&kept.context)), &gate);
            let of_context = of(&kept.context);
            let _ = of_gated.mul_out(&of_context, &gate);
            // attention
            let weights = self.cells.context_back(&of_context); // (b, p)
            let weights = match self.cells.images.resample {
                Some(r) => weights.mm(&r.tr()),
                None => weights,
            };
            let of_alpha = weights + of(of_attention); // (b, P)
            let alpha = of(&self.output.attention);
            let of_scores =
                Tensor::internal_softmax_backward_data(&of_alpha, &alpha, -1, alpha.kind());
            let of_query = self.cells.scores_back(&query, &of_scores, of_cells); // (b, A)
            let _ = Tensor::cat_out(&heads, &[&of_query, &of_gate, &gates], 1);
            after = through(&heads, &self.joined.heads, &heads_across); // (b, H)
            later = b;
        }
        Tensor::cat(&[after, after_c], 1)
    }

    /// The gradients of the weights that the steps share.
    fn of_weights(&self, of_cells: CellGradients, of_init: &Tensor, into: &Gradients) -> OfImages {
        let DecoderConfig {
            channels,
            embedding,
            attention,
            vocabulary,
            ..
        } = self.decoder.config;
        let kept = &self.kept;
        into.product(&into.joined(&HEADS), &kept.heads, &kept.previous);
        let of_bias = kept.heads.sum_dim_intlist(0i64, false, None);
        into.add(&into.joined(&HEADS_BIAS), &of_bias);
        let gates = &kept.gates;
        // Both biases are added to the same sum.
        let of_gates = of_bias.narrow(0, attention + channels, gates.size()[1]);
        into.add(into.view("decode_step.bias_ih"), &of_gates);
        let weight_ih = into.view("decode_step.weight_ih");
        into.product(&weight_ih.narrow(1, 0, embedding), gates, &kept.embedded);
        let of_context = weight_ih.narrow(1, embedding, channels);
        into.product(&of_context, gates, &kept.gated);
        let of_embedded = through(gates, &self.joined.word, &None); // (N, E)
        let of_embedding =
            Tensor::embedding_dense_backward(&of_embedded, &kept.inputs, vocabulary, -1, false);
        into.add(into.view("embedding.weight"), &of_embedding);
        into.product(&into.joined(&INIT), of_init, &kept.mean);
        into.add_rows(&into.joined(&INIT_BIAS), of_init);
        into.add(into.view("attention.full_att.weight"), &of_cells.full_att);
        // Softmax does not feel it.
        let of_score = into.view("attention.full_att.bias");
        into.add(of_score, &of_score.zeros_like());
        let projected = self.cells.of_projected(of_cells); // (n, P, A)
        let projected = match self.cells.images.resample {
            Some(r) => r.tr().matmul(&projected), // (n, p, A)
            None => projected,
        };
        let rows = projected.reshape([-1, attention]);
        into.product(
            into.view("attention.encoder_att.weight"),
            &rows,
            &self.cells.images.features.view([-1, channels]),
        );
        into.add_rows(into.view("attention.encoder_att.bias"), &rows);
        OfImages {
            projected,
            mean: of_init.mm(&self.joined.init),
        }
    }

    /// The gradient of the cells that went into [`Decoder::project`](crate::Decoder::project).
    fn of_features(&self, of_images: &OfImages) -> Tensor {
        let features = self.cells.images.features; // (n, p, C)
        let size = features.size();
        let encoder_att = self.decoder.encoder_att.ws.to_kind(features.kind()); // (A, C)
        let mut sum = product(&of_images.projected.flatten(0, 1), &encoder_att).view_(&size); // (n, p, C)
        let mean = sum_by(self.cells.captions.image, size[0], &of_images.mean); // (n, C)
        let share = match self.cells.images.resample {
            Some(r) => r.mean_dim(0i64, false, None), // (p)
            None => Tensor::full([size[1]], 1.0 / size[1] as f64, (sum.kind(), sum.device())),
        };
        sum += mean.unsqueeze(1) * share.view([1, -1, 1]);
        for image in 0..size[0] {
            let rows: Vec<i64> = (steps(&self.output.counts).into_iter())
                .flat_map(|(at, b)| (0..b).map(move |caption| (at, caption)))
                .filter(|(_, caption)| self.cells.captions.image[*caption as usize] == image)
                .map(|(at, caption)| at + caption)
                .collect();
            let rows = Tensor::from_slice(&rows).to_device(features.device());
            let weights = self.kept.weights.index_select(0, &rows); // (m, p)
            let context = self.kept.context.index_select(0, &rows); // (m, C)
            let _ = sum.get(image).addmm_(&weights.tr(), &context);
        }
        match self.cells.images.pooled {
            Some(r) => r.tr().matmul(&sum),
            None => sum,
        }
    }
}

/// `y w`, where `across`, if it is there, is w transposed.
fn through(y: &Tensor, w: &Tensor, across: &Option<Tensor>) -> Tensor {
    match across {
        Some(across) => {
            let out = Tensor::zeros([y.size()[0], across.size()[0]], (y.kind(), y.device()));
            add_product(&out, y, across);
            out
        }
        None => product(y, w),
    }
}
