//! Teacher forcing: the decoder's forward pass over known captions.
//!
//! The rows of all steps are concatenated, so that no work is done for padding. Terms that
//! depend on no earlier step are one product before the loop; results that no later step
//! needs are one product after it. The backward pass is in `backward.rs`.

use super::{AttentionLstm, Projected, bias};
use crate::decoder::additive::{Activation, Cells};
use crate::decoder::captions::steps;
use crate::decoder::dropout::dropped;
use crate::decoder::{Captions, Images, Output, Reading};
use crate::product::{add_product, linear};
use attend_artifact::model::DecoderConfig;
use tch::nn::Module;
use tch::{Kind, Tensor};

/// A forward pass of this decoder.
pub(super) struct Teacher<'a> {
    pub decoder: &'a AttentionLstm,
    pub output: Output,
    pub images: Projected<'a>,
    pub cells: Cells<'a>,
    pub joined: Joined,
    pub kept: Kept,
}

/// Weights that are multiplied with the same vector, concatenated. All but `init` have the
/// kind that products are computed in.
pub(super) struct Joined {
    /// (A + C + 4H, H): `decoder_att`, `f_beta`, `weight_hh`.
    pub heads: Tensor,
    /// (2H, C): `init_h`, `init_c`.
    pub init: Tensor,
    /// (4H, E): the embedding's part of `weight_ih`.
    pub word: Tensor,
    /// (4H, C): the context's part.
    pub context: Tensor,
    /// (V, H)
    pub fc: Tensor,
}

/// Intermediate results that the backward pass needs, with the rows of all steps.
pub(super) struct Kept {
    pub inputs: Tensor,       // (N) tokens
    pub embedded: Tensor,     // (N, E)
    pub previous: Tensor,     // (N, H): h_{t-1}
    pub heads: Tensor,        // (N, A + C + 4H): query, gate of the context, gates of h
    pub weights: Tensor,      // (N, p): alphas over the native cells
    pub context: Tensor,      // (N, C)
    pub gated: Tensor,        // (N, C)
    pub gates: Tensor,        // (N, 4H): i, f, g, o
    pub cell: Tensor,         // (N, H): c_t
    pub tanh: Tensor,         // (N, H): tanh c_t
    pub dropped: Tensor,      // (N, H): h_t after dropout
    pub mask: Option<Tensor>, // (N, H)
    pub mean: Tensor,         // (B, C)
    pub first_cell: Tensor,   // (B, H): c_0
}

impl AttentionLstm {
    pub(super) fn forward<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Teacher<'a> {
        let DecoderConfig {
            channels,
            hidden,
            attention,
            dropout,
            ..
        } = self.config;
        let counts = captions.counts();
        let [grid_height, grid_width] = images.grid;
        let device = images.device();
        let images = Projected::from(images);
        let options = (images.mean.kind(), device);
        let n: i64 = counts.iter().sum();
        let rows = |width: i64| Tensor::empty([n, width], options);

        let joined = self.joined(images.features.kind());
        let heads_bias = Tensor::cat(
            &[
                bias(&self.decoder_att),
                bias(&self.f_beta),
                self.bias_hh.shallow_clone(),
            ],
            0,
        );
        let init_bias = Tensor::cat(&[bias(&self.init_h), bias(&self.init_c)], 0);
        let mean = images.mean.index_select(0, &captions.images(device)); // (B, C)
        let init = linear(&mean, &joined.init, Some(&init_bias)); // (B, 2H)
        let first_cell = init.narrow(1, hidden, hidden);
        let first = init.narrow(1, 0, hidden);
        let (mut h, mut c) = (first.shallow_clone(), first_cell.shallow_clone());

        let inputs = captions.packed(&counts, 0);
        let embedded = self.embedding.forward(&inputs); // (N, E)
        let of_words = |embedded: &Tensor| linear(embedded, &joined.word, Some(&self.bias_ih));
        let gates = of_words(&embedded); // (N, 4H)
        let alphas = rows(grid_height * grid_width);
        let weights = match reading.hard || images.resampling.later().is_some() {
            true => rows(images.features.size()[1]),
            false => alphas.shallow_clone(),
        };
        let drawn = (reading.hard).then(|| Tensor::empty([n], (Kind::Int64, device)));
        let heads = heads_bias.expand([n, -1], false).contiguous();
        let (context, gated) = (rows(channels), rows(channels));
        let (hiddens, cell, tanh) = (rows(hidden), rows(hidden), rows(hidden));
        let scored = (Activation::Relu, &self.full_att.ws);
        let cells = Cells::of_captions(images.embedded(), captions.image, scored);

        for (at, b) in steps(&counts) {
            let at_step = |all: &Tensor| all.narrow(0, at, b);
            let mut gates = at_step(&gates);
            if reading.own_words > 0.0 && at > 0 {
                let drawn = self.draw(&h.narrow(0, 0, b)); // (b)
                let own = Tensor::rand([b], (Kind::Float, drawn.device())).lt(reading.own_words);
                let words = drawn.where_self(&own, &at_step(&inputs));
                at_step(&inputs).copy_(&words);
                at_step(&embedded).copy_(&self.embedding.forward(&words));
                gates.copy_(&of_words(&at_step(&embedded)));
            }
            add_product(&at_step(&heads), &h.narrow(0, 0, b), &joined.heads);
            let query = at_step(&heads).narrow(1, 0, attention);
            let mut gate = at_step(&heads).narrow(1, attention, channels);
            let alpha = at_step(&alphas);
            let _ = cells.scores(&query).softmax_int_out(&alpha, -1, None); // (b, P)
            let seen = drawn.as_ref().map(|drawn| {
                at_step(drawn).copy_(&alpha.multinomial(1, true).squeeze_dim(1));
                let one = at_step(drawn).one_hot(alphas.size()[1]);
                one.to_kind(alpha.kind())
            });
            match (images.resampling.later(), seen) {
                (Some(r), seen) => {
                    let _ = seen.unwrap_or(alpha).mm_out(&at_step(&weights), r); // R^T a
                }
                (None, Some(seen)) => at_step(&weights).copy_(&seen),
                (None, None) => {}
            }
            cells.context(&at_step(&weights), &at_step(&context));
            let _ = gate
                .sigmoid_()
                .mul_out(&at_step(&gated), &at_step(&context));
            gates += at_step(&heads).narrow(1, attention + channels, 4 * hidden);
            add_product(&gates, &at_step(&gated), &joined.context);
            // PyTorch's order: i, f, g, o.
            let _ = gates.narrow(1, 0, 2 * hidden).sigmoid_();
            let _ = gates.narrow(1, 2 * hidden, hidden).tanh_();
            let _ = gates.narrow(1, 3 * hidden, hidden).sigmoid_();
            let gate = |index: i64| gates.narrow(1, index * hidden, hidden);
            let mut next = at_step(&cell);
            let _ = gate(1).mul_out(&next, &c.narrow(0, 0, b));
            let _ = next.addcmul_(&gate(0), &gate(2));
            let _ = next.tanh_out(&at_step(&tanh));
            let _ = gate(3).mul_out(&at_step(&hiddens), &at_step(&tanh));
            (h, c) = (at_step(&hiddens), next);
        }
        // For each row, the index of h_{t-1} in the rows of h_0 and all steps.
        let (mut before, mut place) = (Vec::new(), 0);
        for (at, b) in steps(&counts) {
            before.extend(place..place + b);
            place = captions.len() + at;
        }
        let before = Tensor::from_slice(&before).to_device(device);
        let previous = Tensor::cat(&[&first, &hiddens], 0).index_select(0, &before);
        let share = if reading.dropout { dropout } else { 0.0 };
        let (dropped, mask) = dropped(hiddens, share);
        Teacher {
            decoder: self,
            output: Output {
                logits: linear(&dropped, &joined.fc, Some(&bias(&self.fc))), // (N, V)
                targets: captions.packed(&counts, 1),
                attention: alphas,
                drawn,
                counts,
            },
            images,
            cells,
            joined,
            kept: Kept {
                inputs,
                embedded,
                previous,
                heads,
                weights,
                context,
                gated,
                gates,
                cell,
                tanh,
                dropped,
                mask,
                mean,
                first_cell,
            },
        }
    }

    /// Tokens drawn from the model's distribution after `h` (b, H): i64 (b).
    fn draw(&self, h: &Tensor) -> Tensor {
        let probabilities = self.fc.forward(h).softmax(-1, None);
        probabilities.multinomial(1, true).squeeze_dim(1)
    }

    fn joined(&self, kind: Kind) -> Joined {
        let (word, context) = self.input_weights();
        let heads = [&self.decoder_att.ws, &self.f_beta.ws, &self.weight_hh];
        Joined {
            heads: Tensor::cat(&heads, 0).to_kind(kind),
            init: Tensor::cat(&[&self.init_h.ws, &self.init_c.ws], 0),
            word: word.to_kind(kind),
            context: context.to_kind(kind),
            fc: self.fc.ws.to_kind(kind),
        }
    }
}
