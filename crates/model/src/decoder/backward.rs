//! The gradient of the loss, by hand.
//!
//! Backward through the steps go only the gradients of h and c; those of the weights
//! are one product each over the rows of all steps. What the forward pass kept is
//! written over on the way: `heads` and `gates` end as the gradients of what they
//! held before their sigmoids, `context` as its own gradient.

use super::attention::CellGradients;
use super::product::{add_product, is_own, product, sum_by};
use super::teacher::{Loss, Objective, Teacher, steps};
use super::{Decoder, DecoderConfig};
use tch::{Kind, Tensor};

/// The gradient of each of a decoder's parameters.
pub struct Gradients {
    heads: Tensor,            // (A + C + 4H, H)
    heads_bias: Tensor,       // (A + C + 4H)
    init: Tensor,             // (2H, C)
    init_bias: Tensor,        // (2H)
    weight_ih: Tensor,        // (4H, E + C)
    encoder_att: Tensor,      // (A, C)
    encoder_att_bias: Tensor, // (A)
    full_att: Tensor,         // (1, A)
    full_att_bias: Tensor,    // (1): 0, softmax does not feel it
    embedding: Tensor,        // (V, E)
    fc: Tensor,               // (V, H)
    fc_bias: Tensor,          // (V)
    /// Whether a backward pass has written here since [`Gradients::clear`].
    written: bool,
    /// What products are computed in.
    kind: Kind,
}

impl Gradients {
    /// Room for the gradients of a decoder.
    pub fn of(decoder: &Decoder) -> Gradients {
        let DecoderConfig {
            channels,
            hidden,
            attention,
            ..
        } = decoder.config;
        let of = |parameter: &Tensor| parameter.detach().zeros_like();
        let zeros = |size: &[i64]| {
            Tensor::zeros(size, (decoder.weight_hh.kind(), decoder.weight_hh.device()))
        };
        let heads = attention + channels + 4 * hidden;
        Gradients {
            heads: zeros(&[heads, hidden]),
            heads_bias: zeros(&[heads]),
            init: zeros(&[2 * hidden, channels]),
            init_bias: zeros(&[2 * hidden]),
            weight_ih: of(&decoder.weight_ih),
            encoder_att: of(&decoder.encoder_att.ws),
            encoder_att_bias: zeros(&[attention]),
            full_att: of(&decoder.full_att.ws),
            full_att_bias: zeros(&[1]),
            embedding: of(&decoder.embedding.ws),
            fc: of(&decoder.fc.ws),
            fc_bias: zeros(&[decoder.config.vocabulary]),
            written: false,
            kind: decoder.weight_hh.kind(),
        }
    }

    /// By the parameters' names. The tensors are views: they change with the next
    /// backward pass.
    pub fn named(&self) -> Vec<(&'static str, Tensor)> {
        let [hidden, attention] = [self.heads.size()[1], self.encoder_att.size()[0]];
        let channels = self.encoder_att.size()[1];
        let of_heads = |first: i64, rows: i64| self.heads.narrow(0, first, rows);
        let of_heads_bias = |first: i64, rows: i64| self.heads_bias.narrow(0, first, rows);
        let gates = (attention + channels, 4 * hidden);
        vec![
            ("attention.decoder_att.weight", of_heads(0, attention)),
            ("attention.decoder_att.bias", of_heads_bias(0, attention)),
            (
                "attention.encoder_att.weight",
                self.encoder_att.shallow_clone(),
            ),
            (
                "attention.encoder_att.bias",
                self.encoder_att_bias.shallow_clone(),
            ),
            ("attention.full_att.weight", self.full_att.shallow_clone()),
            (
                "attention.full_att.bias",
                self.full_att_bias.shallow_clone(),
            ),
            ("decode_step.weight_hh", of_heads(gates.0, gates.1)),
            ("decode_step.bias_hh", of_heads_bias(gates.0, gates.1)),
            ("decode_step.weight_ih", self.weight_ih.shallow_clone()),
            // Both biases are added to the same sum.
            ("decode_step.bias_ih", of_heads_bias(gates.0, gates.1)),
            ("embedding.weight", self.embedding.shallow_clone()),
            ("f_beta.weight", of_heads(attention, channels)),
            ("f_beta.bias", of_heads_bias(attention, channels)),
            ("fc.weight", self.fc.shallow_clone()),
            ("fc.bias", self.fc_bias.shallow_clone()),
            ("init_h.weight", self.init.narrow(0, 0, hidden)),
            ("init_h.bias", self.init_bias.narrow(0, 0, hidden)),
            ("init_c.weight", self.init.narrow(0, hidden, hidden)),
            ("init_c.bias", self.init_bias.narrow(0, hidden, hidden)),
        ]
    }

    /// The next backward pass begins anew; until then they add up.
    pub fn clear(&mut self) {
        self.written = false;
    }

    /// `into (+)= a^T b`.
    fn product(&self, into: &Tensor, a: &Tensor, b: &Tensor) {
        if self.kind != into.kind() {
            self.add(into, &product(&a.tr(), &b.to_kind(self.kind)));
            return;
        }
        let _ = match self.written {
            true => into.shallow_clone().addmm_(&a.tr(), b),
            false => a.tr().mm_out(into, b),
        };
    }

    /// `into (+)= from`.
    fn add(&self, into: &Tensor, from: &Tensor) {
        let mut into = into.shallow_clone();
        match self.written {
            true => into += from,
            false => into.copy_(from),
        }
    }

    fn add_rows(&self, into: &Tensor, rows: &Tensor) {
        self.add(into, &rows.sum_dim_intlist(0i64, false, None));
    }
}

/// Gradients on their way to the features.
struct OfImages {
    projected: Tensor, // (n, p, A)
    mean: Tensor,      // (B, C)
}

impl Teacher<'_> {
    /// Adds the gradient of `loss.total`, times `scale`, of every parameter to `into`.
    /// Answers the gradient of the cells that were projected, (n, cells, C), where
    /// it is `wanted`.
    pub fn backward(
        self,
        decoder: &Decoder,
        loss: Loss,
        scale: f64,
        into: &mut Gradients,
        wanted: bool,
    ) -> Option<Tensor> {
        into.kind = self.cells.images.kind();
        tch::no_grad(|| {
            let of_alphas = self.of_alphas(&loss.objective, scale); // (B, P)
            let of_hidden = self.through_words(loss, scale, into); // (N, H)
            let mut of_cells = self.cells.gradients();
            let of_init = self.through_steps(&of_hidden, &of_alphas, &mut of_cells, decoder);
            let of_images = self.of_weights(decoder, of_cells, &of_init, into);
            into.written = true;
            wanted.then(|| self.of_features(decoder, &of_images))
        })
    }

    /// Of the doubly stochastic term: the same at each step, (B, P).
    fn of_alphas(&self, objective: &Objective, scale: f64) -> Tensor {
        let sums = &self.kept.alphas_sum;
        (sums - 1f64) * (2.0 * objective.alpha_c * scale / sums.numel() as f64)
    }

    /// Through the last layer: the gradient of h_t (N, H).
    fn through_words(&self, loss: Loss, scale: f64, into: &Gradients) -> Tensor {
        let smoothing = loss.objective.smoothing;
        let size = loss.log_probs.size();
        let (n, words) = (size[0] as f64, size[1] as f64);
        // (probability - wanted) / N
        let mut logits = loss.log_probs;
        let _ = logits.exp_();
        if smoothing > 0.0 {
            logits -= smoothing / words;
        }
        let targets = self.targets.unsqueeze(1);
        let right = Tensor::full(
            [size[0], 1],
            smoothing - 1.0,
            (logits.kind(), logits.device()),
        );
        let _ = logits.scatter_add_(1, &targets, &right);
        logits *= scale / n;
        into.product(&into.fc, &logits, &self.kept.dropped);
        into.add_rows(&into.fc_bias, &logits);
        let of_dropped = through(&logits, &self.joined.fc, &None); // (N, H)
        match &self.kept.mask {
            Some(mask) => of_dropped * mask,
            None => of_dropped,
        }
    }

    /// Through the steps, the last one first: the gradients of h_0 and c_0, (B, 2H).
    fn through_steps(
        &self,
        of_hidden: &Tensor,
        of_alphas: &Tensor,
        of_cells: &mut CellGradients,
        decoder: &Decoder,
    ) -> Tensor {
        let DecoderConfig {
            channels,
            hidden,
            attention,
            ..
        } = decoder.config;
        let kept = &self.kept;
        let options = (of_hidden.kind(), of_hidden.device());
        // The weights lie across the sums here: a copy lies along them.
        let most = self.counts.first().copied().unwrap_or(0);
        let across = |w: &Tensor| is_own(most, w).then(|| w.tr().contiguous());
        let (heads_across, context_across) =
            (across(&self.joined.heads), across(&self.joined.context));
        // Of h and c, from the step that was last done.
        let mut after = Tensor::zeros([0, hidden], options);
        let mut after_c = Tensor::zeros([0, hidden], options);
        let mut later = 0;
        let firsts = steps(&self.counts);
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
            let weights = match &self.cells.images.resample {
                Some(r) => weights.mm(&r.tr()),
                None => weights,
            };
            let of_alpha = weights + of_alphas.narrow(0, 0, b); // (b, P)
            let alpha = of(&self.alphas);
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
    fn of_weights(
        &self,
        decoder: &Decoder,
        of_cells: CellGradients,
        of_init: &Tensor,
        into: &Gradients,
    ) -> OfImages {
        let DecoderConfig {
            channels,
            embedding,
            attention,
            vocabulary,
            ..
        } = decoder.config;
        let kept = &self.kept;
        into.product(&into.heads, &kept.heads, &kept.previous);
        into.add_rows(&into.heads_bias, &kept.heads);
        let gates = &kept.gates;
        let of_word = into.weight_ih.narrow(1, 0, embedding);
        into.product(&of_word, gates, &kept.embedded);
        let of_context = into.weight_ih.narrow(1, embedding, channels);
        into.product(&of_context, gates, &kept.gated);
        let of_embedded = through(gates, &self.joined.word, &None); // (N, E)
        let of_embedding =
            Tensor::embedding_dense_backward(&of_embedded, &kept.inputs, vocabulary, -1, false);
        into.add(&into.embedding, &of_embedding);
        into.product(&into.init, of_init, &kept.mean);
        into.add_rows(&into.init_bias, of_init);
        into.add(&into.full_att, &of_cells.full_att);
        let projected = self.cells.of_projected(of_cells); // (n, P, A)
        let projected = match &self.cells.images.resample {
            Some(r) => r.tr().matmul(&projected), // (n, p, A)
            None => projected,
        };
        let rows = projected.reshape([-1, attention]);
        into.product(
            &into.encoder_att,
            &rows,
            &self.cells.images.features.view([-1, channels]),
        );
        into.add_rows(&into.encoder_att_bias, &rows);
        OfImages {
            projected,
            mean: of_init.mm(&self.joined.init),
        }
    }

    /// The gradient of the cells that went into [`Decoder::project`].
    fn of_features(&self, decoder: &Decoder, of: &OfImages) -> Tensor {
        let features = &self.cells.images.features; // (n, p, C)
        let size = features.size();
        let encoder_att = decoder.encoder_att.ws.to_kind(features.kind()); // (A, C)
        let mut sum = product(&of.projected.flatten(0, 1), &encoder_att).view_(&size); // (n, p, C)
        let mean = sum_by(self.cells.captions.image, size[0], &of.mean); // (n, C)
        let share = match &self.cells.images.resample {
            Some(r) => r.mean_dim(0i64, false, None), // (p)
            None => Tensor::full([size[1]], 1.0 / size[1] as f64, (sum.kind(), sum.device())),
        };
        sum += mean.unsqueeze(1) * share.view([1, -1, 1]);
        for image in 0..size[0] {
            let rows: Vec<i64> = (steps(&self.counts).into_iter())
                .flat_map(|(at, b)| (0..b).map(move |caption| (at, caption)))
                .filter(|(_, caption)| self.cells.captions.image[*caption as usize] == image)
                .map(|(at, caption)| at + caption)
                .collect();
            let rows = Tensor::from_slice(&rows).to_device(features.device());
            let weights = self.kept.weights.index_select(0, &rows); // (m, p)
            let context = self.kept.context.index_select(0, &rows); // (m, C)
            let _ = sum.get(image).addmm_(&weights.tr(), &context);
        }
        match &self.cells.images.pooled {
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
