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
//! The backward pass is written by hand; in mixed precision, the softmax's products are of the
//! weights' kind.

mod layers;
mod read;
mod tape;

use self::layers::{Layers, Linear, Norm, merged, positions, sum_back};
use self::tape::{Tape, Way};
use super::dropout::dropped;
use super::parameters::{Weights, pytorchs};
use super::slots::Slots;
use super::{Captions, Decoder, Images, Pass, Reading, Rows, Step};
use attend_artifact::model::{DecoderConfig, TransformerConfig};
use std::rc::Rc;
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

/// What [`Transformer::encode`] keeps for the way back.
struct Encoded {
    embedding: Linear,
    /// The cells after the embedding's dropout, (n, P, D).
    embedded: Tensor,
    tape: Tape,
    norm: Norm,
    /// To the keys and the values of each layer of the decoder.
    maps: Vec<Linear>,
}

/// What [`Transformer::decode`] keeps for the way back.
struct Decoded {
    tape: Tape,
    norm: Norm,
    output: Linear,
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
            of_cells: if dropout { self.config.dropout } else { 0.0 },
        }
    }

    /// Keys and values of the encoded cells for each layer of the decoder, (n, h, P, d).
    fn encode(
        &self,
        layers: &Layers,
        cells: &Tensor,
        images: &Images,
        mut tape: Tape,
    ) -> (Vec<Tensor>, Encoded) {
        let wide = layers.w.get(EMBEDDING).kind();
        let (embedded, embedding) = layers.named("att_embed.0", cells);
        let embedded = images.resampling.spread(embedded).relu().to_kind(wide);
        let (embedded, _) = dropped(embedded, layers.of_cells);
        let [height, width] = images.grid;
        let half = self.config.hidden / 2;
        let place = |count: i64| positions(count, half, &embedded);
        let size = [height, width, half];
        let rows = place(height).unsqueeze(1).expand(size, false); // (height, width, D / 2)
        let columns = place(width).unsqueeze(0).expand(size, false);
        let mut cells = &embedded + Tensor::cat(&[rows, columns], -1).flatten(0, 1); // (n, P, D)
        for layer in 0..self.sizes.encoder_layers {
            cells = layers.encoder(&format!("model.encoder.layers.{layer}"), &cells, &mut tape);
        }
        let (cells, norm) = layers.norm("model.encoder.norm", &cells);
        let attentions = (0..self.sizes.decoder_layers)
            .map(|layer| format!("model.decoder.layers.{layer}.src_attn"));
        let (known, maps) = attentions
            .flat_map(|attention| [1, 2].map(|n| layers.linear(&attention, n, &cells)))
            .map(|(known, map)| (layers.heads(&known), map))
            .unzip();
        let encoded = Encoded {
            embedding,
            embedded,
            tape,
            norm,
            maps,
        };
        (known, encoded)
    }

    /// Words (B) with their positions, (B, D).
    fn embed(&self, w: &Weights, tokens: &Tensor, positions: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(w.get(EMBEDDING), tokens, -1, false, false);
        embedded * self.scale() + positions
    }

    /// By what embeddings are multiplied.
    fn scale(&self) -> f64 {
        (self.config.hidden as f64).sqrt()
    }

    /// Logits (B, V) and attention (B, P) of rows x (B, D). `own` attends to the words of each
    /// row: from the layer's number and queries, keys and values (B, D) to contexts (B, D), and
    /// the way back.
    fn decode<B: FnOnce(Tensor) -> [Tensor; 3] + 'static>(
        &self,
        layers: &Layers,
        mut x: Tensor,
        images: &[Tensor],
        slots: &Rc<Slots>,
        mut tape: Tape,
        mut own: impl FnMut(usize, [Tensor; 3]) -> (Tensor, B),
    ) -> ([Tensor; 2], Decoded) {
        let mut attention = Tensor::new();
        for (number, images) in images.chunks(2).enumerate() {
            let layer = format!("model.decoder.layers.{number}");
            x = layers.add(&layer, 0, &x, &mut tape, |x| {
                let name = format!("{layer}.self_attn");
                let maps = [0, 1, 2].map(|n| layers.linear(&name, n, x));
                let all = maps.each_ref().map(|(x, _)| x.shallow_clone());
                let (context, own_back) = own(number, all);
                let (added, last) = layers.linear(&name, 3, &context);
                let back = move |grad: Tensor, way: &mut Way| {
                    let grads = own_back(last.back(&grad, way.into));
                    sum_back(maps.map(|(_, map)| map), grads, way.into)
                };
                (added, back)
            });
            x = layers.add(&layer, 1, &x, &mut tape, |x| {
                let name = format!("{layer}.src_attn");
                let (query, first) = layers.linear(&name, 0, x);
                let query = layers.heads(&slots.spread(&query)); // (n, h, m, d)
                let attended = layers.attend(&query, [&images[0], &images[1]], None);
                attention = slots.collect(&attended.weights.mean_dim(1i64, false, None)); // (B, P)
                let (added, last) = layers.linear(&name, 3, &slots.collect(&attended.context));
                let slots = slots.clone();
                let back = move |grad: Tensor, way: &mut Way| {
                    let grad = slots.spread(&last.back(&grad, way.into));
                    let [query, key, value] = attended.back(&grad, way.attention.take());
                    way.known.push([key, value].map(|grad| merged(&grad)));
                    first.back(&slots.collect(&merged(&query)), way.into)
                };
                (added, back)
            });
            x = layers.add(&layer, 2, &x, &mut tape, |x| layers.feed_forward(&layer, x));
        }
        let (x, norm) = layers.norm("model.decoder.norm", &x);
        let (logits, output) = layers.named(OUTPUT, &x);
        let decoded = Decoded { tape, norm, output };
        ([logits, attention], decoded)
    }
}

impl Decoder for Transformer {
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        no_grad(|| {
            let images = self.prepare(cells, native);
            let [kept] = images.rows.each();
            let mut rows = vec![kept.shallow_clone()];
            let layers = self.layers(&self.weights, false);
            rows.extend(self.encode(&layers, kept, &images, Tape::new(false)).0);
            Images {
                rows: Rows::new(rows),
                ..images
            }
        })
    }

    fn prepare(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        let kind = self.weights.get(EMBEDDING).kind();
        Images::of_cells(cells, native, &self.config, kind)
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
            let slots = Rc::new(Slots::new(images.len(), image, device));
            let t = state.tensors()[0].size()[1];
            let position = positions(t + 1, self.config.hidden, w.get(EMBEDDING)).get(t);
            let x = self.embed(w, &Tensor::from_slice(tokens).to_device(device), &position);
            let mut after = Vec::new();
            let known = &images.rows.tensors()[1..];
            let tape = Tape::new(false);
            let own = |layer: usize, all: [Tensor; 3]| {
                let [query, key, value] = all.map(|rows| rows.unsqueeze(1)); // (B, 1, D)
                let earlier = &state.tensors()[2 * layer..];
                let key = Tensor::cat(&[&earlier[0], &key], 1); // (B, t + 1, D)
                let value = Tensor::cat(&[&earlier[1], &value], 1);
                let [query, keys, values] = [&query, &key, &value].map(|all| layers.heads(all));
                after.extend([key, value]);
                let attended = layers.attend(&query, [&keys, &values], None);
                let context = attended.context.squeeze_dim(1);
                (context, |grad| attended.back(&grad, None))
            };
            let ([logits, attention], _) = self.decode(&layers, x, known, &slots, tape, own);
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
        no_grad(|| Box::new(self.forward(images, captions, reading)))
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
