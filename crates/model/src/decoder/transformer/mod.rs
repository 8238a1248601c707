//! A Transformer (Vaswani et al. 2017) over the grid's cells, as ruotianluo's
//! `TransformerModel` has it, with its parameter names: an encoder of cells and a decoder of
//! words, each layer normalised before its parts.
//!
//! ```text
//! m_i = dropout(relu(W_v f_i)) + position(row, column)
//! encoder:  m = m + self_attn(norm m)         m = m + feed_forward(norm m)
//! x_t = dropout(sqrt(D) E y_{t-1} + position(t))
//! decoder:  x = x + self_attn(norm x)         x = x + src_attn(norm x, m)
//!           x = x + feed_forward(norm x)      logits_t = W_o norm x_t
//! attn(x, m) = W_3 [ softmax((W_0 x) (W_1 m)^T / sqrt(D / heads)) W_2 m ], by heads
//! feed_forward(x) = W_2 dropout(relu(W_1 x))
//! norm(x) = a (x - mean x) / (std x + 1e-6) + b
//! ```
//!
//! After the last layer, m is normalised, too. Dropout acts on what each part adds and on the
//! softmax; `decoder.dropout` is that of the embedded cells. A position is sines and cosines;
//! of a cell, half of them are of its row and half of its column (the reference's cells have
//! no order and no positions). The attention is the mean over the heads of the last layer's
//! `src_attn`.
//!
//! The words of all captions are rows without padding, except in the softmax; the encoder
//! and the keys and values of m are computed once for each image. A search keeps the keys and
//! values of earlier words.
//!
//! Shapes: n images, p kept cells, P attention cells, C channels, D width, h heads, d = D / h,
//! L decoder layers, B captions, T steps, V vocabulary, N tokens without padding.
//!
//! For images, the decoder keeps the cells (n, p, C), and for each layer keys and values of m
//! (n, h, P, d). The state is keys and values of the t earlier words for each layer, (B, t, D).
//! The backward pass is autograd's; in mixed precision, the softmax's products are of the
//! weights' kind.

mod layers;

use self::layers::{Layers, positions};
use super::parameters::{Weights, pytorchs};
use super::slots::Slots;
use super::taped::{prepare, record};
use super::{Captions, Decoder, Images, Pass, Reading, Rows, Step};
use attend_artifact::model::{DecoderConfig, TransformerConfig};
use tch::nn::{self, Init};
use tch::{Tensor, no_grad};

/// The table of the words' embeddings.
const EMBEDDING: &str = "model.tgt_embed.0.lut.weight";
/// The output layer.
const OUTPUT: &str = "model.generator.proj";

/// The decoder.
pub(super) struct Transformer {
    config: DecoderConfig,
    sizes: TransformerConfig,
    weights: Weights,
}

impl Transformer {
    /// A decoder with random weights, initialised as in the reference.
    pub fn new(p: &nn::Path, config: &DecoderConfig, sizes: TransformerConfig) -> Transformer {
        let shapes = config.parameters();
        let init = |name: &str| match (&shapes[name][..], name.rsplit_once('.')) {
            // Xavier's
            (&[output, input], _) if name.starts_with("model.") => {
                let bound = (6.0 / (input + output) as f64).sqrt();
                Init::Uniform {
                    lo: -bound,
                    up: bound,
                }
            }
            (_, Some((_, "a_2"))) => Init::Const(1.0),
            (_, Some((_, "b_2"))) => Init::Const(0.0),
            _ => pytorchs(name, &shapes),
        };
        Transformer {
            weights: Weights::new(p, &shapes, init),
            config: config.clone(),
            sizes,
        }
    }

    /// The layers in a pass with dropout or without.
    fn layers<'a>(&self, w: &'a Weights, dropout: bool) -> Layers<'a> {
        Layers {
            w,
            heads: self.sizes.heads,
            dropout: if dropout { self.sizes.dropout } else { 0.0 },
        }
    }

    /// Keys and values of the encoded cells for each layer of the decoder, (n, h, P, d).
    fn encode(&self, w: &Weights, cells: &Tensor, images: &Images, dropout: bool) -> Vec<Tensor> {
        let layers = self.layers(w, dropout);
        let wide = w.get(EMBEDDING).kind();
        let embedded = images.resampling.spread(w.linear("att_embed.0", cells));
        let embedded = embedded
            .relu()
            .to_kind(wide)
            .dropout(self.config.dropout, dropout);
        let [height, width] = images.grid;
        let half = self.config.hidden / 2;
        let place = |count: i64| positions(count, half, &embedded);
        let size = [height, width, half];
        let rows = place(height).unsqueeze(1).expand(size, false); // (height, width, D / 2)
        let columns = place(width).unsqueeze(0).expand(size, false);
        let mut cells = embedded + Tensor::cat(&[rows, columns], -1).flatten(0, 1); // (n, P, D)
        for layer in 0..self.sizes.encoder_layers {
            cells = layers.encoder(&format!("model.encoder.layers.{layer}"), &cells);
        }
        let cells = layers.norm("model.encoder.norm", &cells);
        let attentions = (0..self.sizes.decoder_layers)
            .map(|layer| format!("model.decoder.layers.{layer}.src_attn"));
        attentions
            .flat_map(|attention| {
                [1, 2].map(|n| layers.heads(&layers.linear(&attention, n, &cells)))
            })
            .collect()
    }

    /// Words (B) with their positions, (B, D).
    fn embed(&self, w: &Weights, tokens: &Tensor, positions: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(w.get(EMBEDDING), tokens, -1, false, false);
        embedded * (self.config.hidden as f64).sqrt() + positions
    }

    /// Logits (B, V) and attention (B, P) of rows x (B, D). `own` attends to the words of each
    /// row: from the layer's number and queries, keys and values (B, D) to contexts (B, D).
    fn decode(
        &self,
        layers: &Layers,
        mut x: Tensor,
        images: &[Tensor],
        slots: &Slots,
        mut own: impl FnMut(usize, [Tensor; 3]) -> Tensor,
    ) -> (Tensor, Tensor) {
        let mut attention = Tensor::new();
        for (number, images) in images.chunks(2).enumerate() {
            let layer = format!("model.decoder.layers.{number}");
            x = layers.add(&layer, 0, &x, |x| {
                let name = format!("{layer}.self_attn");
                let all = [0, 1, 2].map(|n| layers.linear(&name, n, &x));
                layers.linear(&name, 3, &own(number, all))
            });
            x = layers.add(&layer, 1, &x, |x| {
                let name = format!("{layer}.src_attn");
                let query = layers.heads(&slots.spread(&layers.linear(&name, 0, &x))); // (n, h, m, d)
                let (context, weights) = layers.attend(&query, [&images[0], &images[1]], None);
                attention = slots.collect(&weights.mean_dim(1i64, false, None)); // (B, P)
                layers.linear(&name, 3, &slots.collect(&context))
            });
            x = layers.add(&layer, 2, &x, |x| layers.feed_forward(&layer, &x));
        }
        let x = layers.norm("model.decoder.norm", &x);
        (layers.w.linear(OUTPUT, &x), attention)
    }

    /// Logits (N, V) and attention (N, P).
    fn forward(
        &self,
        w: &Weights,
        cells: &Tensor,
        images: &Images,
        captions: Captions,
        dropout: bool,
    ) -> (Tensor, Tensor) {
        let layers = self.layers(w, dropout);
        let keys_and_values = self.encode(w, cells, images, dropout);
        let counts = captions.counts();
        let steps = counts.len() as i64;
        let caption: Vec<i64> = counts.iter().flat_map(|b| 0..*b).collect();
        let image: Vec<i64> = caption
            .iter()
            .map(|row| captions.image[*row as usize])
            .collect();
        let step: Vec<i64> = (0..)
            .zip(&counts)
            .flat_map(|(t, b)| vec![t; *b as usize])
            .collect();
        let device = cells.device();
        let by_image = Slots::new(images.len(), &image, device);
        let by_caption = Slots::new(captions.len(), &caption, device);
        let like = w.get(EMBEDDING);
        let step = Tensor::from_slice(&step).to_device(device);
        let positions = positions(steps, self.config.hidden, like).index_select(0, &step);
        let x = self.embed(w, &captions.packed(&counts, 0), &positions); // (N, D)
        let future = Tensor::full([steps, steps], f64::NEG_INFINITY, (like.kind(), device)).triu(1);
        self.decode(
            &layers,
            layers.dropped(x),
            &keys_and_values,
            &by_image,
            |_, all| {
                let [query, key, value] = all.map(|rows| layers.heads(&by_caption.spread(&rows)));
                let (context, _) = layers.attend(&query, [&key, &value], Some(&future));
                by_caption.collect(&context)
            },
        )
    }
}

impl Decoder for Transformer {
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        no_grad(|| {
            let images = self.prepare(cells, native);
            let [kept] = images.rows.each();
            let mut rows = vec![kept.shallow_clone()];
            rows.extend(self.encode(&self.weights, kept, &images, false));
            Images {
                rows: Rows::new(rows),
                ..images
            }
        })
    }

    fn prepare(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        prepare(
            cells,
            native,
            &self.config,
            self.weights.get(EMBEDDING).kind(),
        )
    }

    fn begin(&self, images: &Images) -> Rows {
        let like = self.weights.get(EMBEDDING);
        let size = [images.len(), 0, self.config.hidden];
        let none = |_| Tensor::zeros(size, (like.kind(), like.device()));
        Rows::new((0..2 * self.sizes.decoder_layers).map(none).collect())
    }

    fn step(&self, images: &Images, image: &[i64], tokens: &[i64], state: &Rows) -> Step {
        no_grad(|| {
            let (w, device) = (&self.weights, images.device());
            let layers = self.layers(w, false);
            let slots = Slots::new(images.len(), image, device);
            let t = state.tensors()[0].size()[1];
            let position = positions(t + 1, self.config.hidden, w.get(EMBEDDING)).get(t);
            let x = self.embed(w, &Tensor::from_slice(tokens).to_device(device), &position);
            let mut after = Vec::new();
            let known = &images.rows.tensors()[1..];
            let (logits, attention) = self.decode(&layers, x, known, &slots, |layer, all| {
                let [query, key, value] = all.map(|rows| rows.unsqueeze(1)); // (B, 1, D)
                let earlier = &state.tensors()[2 * layer..];
                let key = Tensor::cat(&[&earlier[0], &key], 1); // (B, t + 1, D)
                let value = Tensor::cat(&[&earlier[1], &value], 1);
                let [query, keys, values] = [&query, &key, &value].map(|all| layers.heads(all));
                after.extend([key, value]);
                let (context, _) = layers.attend(&query, [&keys, &values], None);
                context.squeeze_dim(1)
            });
            Step {
                logits,
                state: Rows::new(after),
                attention,
            }
        })
    }

    fn read<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Box<dyn Pass + 'a> {
        record(&self.weights, EMBEDDING, images, captions, |w, cells| {
            self.forward(&w, cells, images, captions, reading.dropout)
        })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.list()
    }

    fn embedding(&self) -> &'static str {
        EMBEDDING
    }

    fn word_parameters(&self) -> &'static [&'static str] {
        &[
            EMBEDDING,
            "model.generator.proj.weight",
            "model.generator.proj.bias",
        ]
    }
}
