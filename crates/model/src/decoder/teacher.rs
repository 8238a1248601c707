//! Teacher forcing: the decoder over captions whose words are known.
//!
//! Rows of all steps lie one after the other, N of them: all captions' first tokens,
//! then all second ones, and so on; captions stand by descending length, so that no
//! work is done for padding. What depends on no earlier step is one product before
//! the loop, what no later step needs one product after it. The gradient is in
//! `backward.rs`.

use super::attention::Cells;
use super::product::{add_product, product, sum_by};
use super::{Decoder, DecoderConfig, Projected};
use tch::nn::Module;
use tch::{Device, Kind, Tensor};

/// Captions whose words are known: at least one, each of at least two tokens.
#[derive(Clone, Copy)]
pub struct Captions<'a> {
    /// Which of the n images each describes, B.
    pub image: &'a [i64],
    /// `<start>` … `<end>`, padded: i64 (B, L).
    pub tokens: &'a Tensor,
    /// Tokens of each, `<start>` and `<end>` included; descending.
    pub lengths: &'a [i64],
}

/// How captions are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// With dropout.
    pub dropout: bool,
    /// Scheduled sampling (Bengio et al. 2015): how often a word that the next step
    /// is told is drawn from the model's own distribution instead.
    pub own_words: f64,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, Default)]
pub struct Objective {
    /// Weight of the doubly stochastic regularisation (paper, section 4.2.1).
    pub alpha_c: f64,
    /// Share of the wanted probability that all words have alike (label smoothing).
    pub smoothing: f64,
}

/// What the decoder says when each next word is given to it.
pub struct Teacher<'a> {
    /// Scores, one row for each real token, (N, V).
    pub logits: Tensor,
    /// The right tokens, i64 (N).
    pub targets: Tensor,
    /// Attention, a row for each real token, (N, P).
    pub alphas: Tensor,
    /// b of each step: captions that have a token t + 1.
    pub counts: Vec<i64>,
    pub(super) cells: Cells<'a>,
    pub(super) joined: Joined,
    pub(super) kept: Kept,
}

/// Weights that one vector is multiplied with, as one; all but `init` of the kind that
/// products are computed in.
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

/// What the backward pass needs, rows of all steps.
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
    pub alphas_sum: Tensor,   // (B, P): over each caption's steps
}

/// The parts of the loss, each a scalar.
pub struct Loss {
    /// What is minimised.
    pub total: Tensor,
    /// Mean over real tokens, without label smoothing.
    pub cross_entropy: Tensor,
    /// Doubly stochastic term: mean over captions and cells of (1 - sum_t a)^2.
    pub attention: Tensor,
    pub(super) log_probs: Tensor, // (N, V)
    pub(super) objective: Objective,
}

impl Captions<'_> {
    /// B.
    pub(super) fn len(&self) -> i64 {
        self.image.len() as i64
    }

    /// Which image each describes, on that device.
    pub(super) fn index(&self, device: Device) -> Tensor {
        Tensor::from_slice(self.image).to_device(device)
    }

    /// Tokens from position `first` on, step by step: i64 (N).
    fn packed(&self, counts: &[i64], first: i64) -> Tensor {
        let of_step =
            (counts.iter().zip(first..)).map(|(b, t)| self.tokens.select(1, t).narrow(0, 0, *b)); // (b)
        Tensor::cat(&of_step.collect::<Vec<_>>(), 0)
    }
}

impl Decoder {
    /// Reads captions of projected images. Nothing is recorded for autograd.
    pub fn teacher_forcing<'a>(
        &self,
        images: &'a Projected,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Teacher<'a> {
        tch::no_grad(|| self.read(images, captions, reading))
    }

    fn read<'a>(
        &self,
        images: &'a Projected,
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
        let lengths = captions.lengths;
        let counts: Vec<i64> = (0..lengths.first().map_or(0, |length| length - 1))
            .map(|t| lengths.partition_point(|length| length - 1 > t) as i64)
            .collect();
        let options = (images.mean.kind(), images.device());
        let n: i64 = counts.iter().sum();
        let rows = |width: i64| Tensor::empty([n, width], options);

        let joined = self.joined(images.kind());
        let heads_bias = Tensor::cat(
            &[
                bias(&self.decoder_att),
                bias(&self.f_beta),
                self.bias_hh.shallow_clone(),
            ],
            0,
        );
        let init_bias = Tensor::cat(&[bias(&self.init_h), bias(&self.init_c)], 0);
        let mean = images
            .mean
            .index_select(0, &captions.index(images.device())); // (B, C)
        let init = mean.linear(&joined.init, Some(&init_bias)); // (B, 2H)
        let first_cell = init.narrow(1, hidden, hidden);
        let first = init.narrow(1, 0, hidden);
        let (mut h, mut c) = (first.shallow_clone(), first_cell.shallow_clone());

        let inputs = captions.packed(&counts, 0);
        let embedded = self.embedding.forward(&inputs); // (N, E)
        let of_words = |embedded: &Tensor| linear(embedded, &joined.word, &self.bias_ih);
        let gates = of_words(&embedded); // (N, 4H)
        let alphas = rows(images.grid[0] * images.grid[1]);
        let weights = match images.resample {
            Some(_) => rows(images.features.size()[1]),
            None => alphas.shallow_clone(),
        };
        let heads = heads_bias.expand([n, -1], false).contiguous();
        let (context, gated) = (rows(channels), rows(channels));
        let (hiddens, cell, tanh) = (rows(hidden), rows(hidden), rows(hidden));
        let cells = Cells::new(images, captions, &self.full_att.ws);

        for (at, b) in steps(&counts) {
            let of = |all: &Tensor| all.narrow(0, at, b);
            let mut gates = of(&gates);
            if reading.own_words > 0.0 && at > 0 {
                let drawn = self.draw(&h.narrow(0, 0, b)); // (b)
                let own = Tensor::rand([b], (Kind::Float, drawn.device())).lt(reading.own_words);
                let words = drawn.where_self(&own, &of(&inputs));
                of(&inputs).copy_(&words);
                of(&embedded).copy_(&self.embedding.forward(&words));
                gates.copy_(&of_words(&of(&embedded)));
            }
            add_product(&of(&heads), &h.narrow(0, 0, b), &joined.heads);
            let query = of(&heads).narrow(1, 0, attention);
            let mut gate = of(&heads).narrow(1, attention, channels);
            let alpha = of(&alphas);
            let _ = cells.scores(&query).softmax_int_out(&alpha, -1, None); // (b, P)
            if let Some(r) = &images.resample {
                let _ = alpha.mm_out(&of(&weights), r); // R^T a
            }
            cells.context(&of(&weights), &of(&context));
            let _ = gate.sigmoid_().mul_out(&of(&gated), &of(&context));
            gates += of(&heads).narrow(1, attention + channels, 4 * hidden);
            add_product(&gates, &of(&gated), &joined.context);
            // PyTorch's order: i, f, g, o.
            let _ = gates.narrow(1, 0, 2 * hidden).sigmoid_();
            let _ = gates.narrow(1, 2 * hidden, hidden).tanh_();
            let _ = gates.narrow(1, 3 * hidden, hidden).sigmoid_();
            let gate = |index: i64| gates.narrow(1, index * hidden, hidden);
            let mut next = of(&cell);
            let _ = gate(1).mul_out(&next, &c.narrow(0, 0, b));
            let _ = next.addcmul_(&gate(0), &gate(2));
            let _ = next.tanh_out(&of(&tanh));
            let _ = gate(3).mul_out(&of(&hiddens), &of(&tanh));
            (h, c) = (of(&hiddens), next);
        }
        // Of each row, its caption, and the place of h_{t-1} among h_0 and all later ones.
        let (mut caption, mut before, mut place) = (Vec::new(), Vec::new(), 0);
        for (at, b) in steps(&counts) {
            caption.extend(0..b);
            before.extend(place..place + b);
            place = captions.len() + at;
        }
        let before = Tensor::from_slice(&before).to_device(images.device());
        let previous = Tensor::cat(&[&first, &hiddens], 0).index_select(0, &before);
        let alphas_sum = sum_by(&caption, captions.len(), &alphas);
        let mask = (reading.dropout && dropout > 0.0)
            .then(|| hiddens.empty_like().bernoulli_float_(1.0 - dropout) / (1.0 - dropout));
        let dropped = match &mask {
            Some(mask) => hiddens * mask,
            None => hiddens,
        };
        Teacher {
            logits: linear(&dropped, &joined.fc, &bias(&self.fc)), // (N, V)
            targets: captions.packed(&counts, 1),
            alphas,
            counts,
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
                alphas_sum,
            },
        }
    }

    /// Tokens drawn from what the model expects after `h` (b, H): i64 (b).
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

impl Teacher<'_> {
    /// Cross entropy and doubly stochastic regularisation.
    pub fn loss(&self, objective: Objective) -> Loss {
        tch::no_grad(|| {
            let log_probs = self.logits.log_softmax(-1, None); // (N, V)
            let of_target = log_probs.gather(1, &self.targets.unsqueeze(1), false);
            let cross_entropy = -of_target.mean(None);
            let attention = (1f64 - &self.kept.alphas_sum).square().mean(None);
            let Objective { alpha_c, smoothing } = objective;
            let wanted = match smoothing {
                0.0 => cross_entropy.shallow_clone(),
                _ => &cross_entropy * (1.0 - smoothing) - log_probs.mean(None) * smoothing,
            };
            Loss {
                total: wanted + &attention * alpha_c,
                cross_entropy,
                attention,
                log_probs,
                objective,
            }
        })
    }
}

/// Each step's first row and number of rows.
pub(super) fn steps(counts: &[i64]) -> Vec<(i64, i64)> {
    let ends = counts.iter().scan(0, |end, b| {
        *end += b;
        Some((*end - b, *b))
    });
    ends.collect()
}

/// `x w^T + bias`, of x's kind; the product is of w's.
fn linear(x: &Tensor, w: &Tensor, bias: &Tensor) -> Tensor {
    match x.kind() == w.kind() {
        true => x.linear(w, Some(bias)),
        false => product(x, &w.tr()) + bias,
    }
}

fn bias(linear: &tch::nn::Linear) -> Tensor {
    linear
        .bs
        .as_ref()
        .map(Tensor::shallow_clone)
        .unwrap_or_default()
}
