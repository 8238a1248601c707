//! A step of a search: hypotheses of some images, any number of each image.

use super::attention::Cells;
use super::{AttentionLstm, Projected, bias};
use crate::decoder::{Images, Rows, Step};
use crate::product::add_product;
use crate::slices::is_readable;
use attend_artifact::model::DecoderConfig;
use tch::nn::Module;
use tch::{Kind, Tensor};

impl AttentionLstm {
    pub(super) fn advance(
        &self,
        images: &Images,
        image: &[i64],
        tokens: &[i64],
        [h, c]: &[Tensor; 2],
    ) -> Step {
        let DecoderConfig {
            channels, hidden, ..
        } = self.config;
        let images = Projected::from(images);
        let cells = Shared::new(images, image, &self.full_att.ws);
        let query = affine(h, &self.decoder_att.ws, &bias(&self.decoder_att)); // (B, A)
        let alpha = cells.scores(&query).softmax(-1, None); // (B, P)
        let weights = match images.resample {
            Some(r) => alpha.matmul(r), // (B, p): R^T a
            None => alpha.shallow_clone(),
        };
        let mut gate = affine(h, &self.f_beta.ws, &bias(&self.f_beta)); // (B, C)
        let context = gate.sigmoid_() * cells.context(&weights, channels); // (B, C)
        let (_, of_context) = self.input_weights();
        let gates = self.word_gates(tokens); // (B, 4H)
        add_product(&gates, &context, &of_context);
        add_product(&gates, h, &self.weight_hh);
        // PyTorch's order: i, f, g, o.
        let _ = gates.narrow(1, 0, 2 * hidden).sigmoid_();
        let _ = gates.narrow(1, 2 * hidden, hidden).tanh_();
        let _ = gates.narrow(1, 3 * hidden, hidden).sigmoid_();
        let gate = |index: i64| gates.narrow(1, index * hidden, hidden);
        let c = (gate(1) * c).addcmul_(&gate(0), &gate(2)); // (B, H)
        let h = gate(3) * c.tanh(); // (B, H)
        Step {
            logits: affine(&h, &self.fc.ws, &bias(&self.fc)), // (B, V)
            state: Rows::new(vec![h, c]),
            attention: alpha,
        }
    }

    /// The embeddings' half of `W_ih x`, with both biases: (B) -> (B, 4H). Hypotheses often
    /// have the same last word; each word is computed once.
    fn word_gates(&self, tokens: &[i64]) -> Tensor {
        let mut words = tokens.to_vec();
        words.sort_unstable();
        words.dedup();
        let place = tokens
            .iter()
            .map(|token| words.partition_point(|word| word < token) as i64);
        let device = self.embedding.ws.device();
        let place = Tensor::from_slice(&place.collect::<Vec<_>>()).to_device(device);
        let embedded = (self.embedding).forward(&Tensor::from_slice(&words).to_device(device));
        let (of_word, _) = self.input_weights();
        let bias = &self.bias_ih + &self.bias_hh; // (4H)
        affine(&embedded, &of_word, &bias).index_select(0, &place)
    }
}

/// `x w^T + bias`
fn affine(x: &Tensor, w: &Tensor, bias: &Tensor) -> Tensor {
    let out = bias.repeat([x.size()[0], 1]);
    add_product(&out, x, w);
    out
}

/// The cells of images, each read for all its rows.
enum Shared<'a> {
    /// On the CPU, in f32.
    Fused(Cells<'a>),
    /// Elsewhere: tensor operations on as many rows for each image as one has at most.
    Even {
        images: Projected<'a>,
        full_att: &'a Tensor,
        /// The most rows of an image.
        most: i64,
        /// The row of (n x most) where each row lies, (B).
        place: Tensor,
    },
}

impl<'a> Shared<'a> {
    fn new(images: Projected<'a>, image: &'a [i64], full_att: &'a Tensor) -> Shared<'a> {
        if is_readable(images.features) {
            return Shared::Fused(Cells::new(images, image, full_att));
        }
        let runs = || image.chunk_by(|a, b| a == b);
        let most = runs().map(<[i64]>::len).max().unwrap_or(0) as i64;
        let place =
            runs().flat_map(|of_image| (0..).zip(of_image).map(|(n, image)| image * most + n));
        let place: Vec<i64> = place.collect();
        Shared::Even {
            images,
            full_att,
            most,
            place: Tensor::from_slice(&place).to_device(images.features.device()),
        }
    }

    /// `w . relu(W_e f + query)`: (B, A) -> (B, P).
    fn scores(&self, query: &Tensor) -> Tensor {
        match self {
            Shared::Fused(cells) => cells.scores(query),
            Shared::Even {
                images,
                full_att,
                most,
                place,
            } => {
                let n = images.projected.size()[0];
                let width = query.size()[1];
                let query = spread(query, n * most, place).view([n, *most, 1, width]);
                let seen = (images.projected.unsqueeze(1) + query).relu_(); // (n, most, P, A)
                let scores = seen.matmul(&full_att.squeeze_dim(0)); // (n, most, P)
                scores.flatten(0, 1).index_select(0, place)
            }
        }
    }

    /// `sum_i weights_i f_i`: (B, p) -> (B, C).
    fn context(&self, weights: &Tensor, channels: i64) -> Tensor {
        match self {
            Shared::Fused(cells) => {
                let context = Tensor::empty(
                    [weights.size()[0], channels],
                    (Kind::Float, weights.device()),
                );
                cells.context(weights, &context);
                context
            }
            Shared::Even {
                images,
                most,
                place,
                ..
            } => {
                let n = images.features.size()[0];
                let weights = spread(weights, n * most, place).view([n, *most, -1]);
                let context = weights.bmm(images.features); // (n, most, C)
                context.flatten(0, 1).index_select(0, place)
            }
        }
    }
}

/// The rows (B, …) at their places among `count` rows; the others are 0.
fn spread(rows: &Tensor, count: i64, place: &Tensor) -> Tensor {
    let options = (rows.kind(), rows.device());
    Tensor::zeros([count, rows.size()[1]], options).index_copy_(0, place, rows)
}
