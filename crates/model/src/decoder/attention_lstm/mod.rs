//! The attention decoder of *Show, Attend and Tell* (Xu et al. 2015), soft
//! attention, with the tutorial's parameter names.
//!
//! ```text
//! a_t = softmax(w . relu(W_e f + W_d h_{t-1}) + b)      z_t = sum_i a_ti f_i
//! x_t = [ E y_{t-1} ; sigmoid(W_b h_{t-1}) * z_t ]       h_t, c_t = LSTM(x_t, h_{t-1}, c_{t-1})
//! logits_t = W_o dropout(h_t)                            h_0, c_0 = linear(mean_i f_i)
//! ```
//!
//! The same result with less work: `W_e f` depends on the image only; the attention grid is
//! a fixed linear map R of the encoder's native cells, so the wide products run over the
//! smaller of the two grids; the embeddings' half of `W_ih x_t` is one product before the
//! loop, the logits are one product after it.
//!
//! Shapes: n images, p native cells, P attention cells, C channels, A attention
//! width, E embedding, H hidden, B captions, T steps, V vocabulary, N tokens without
//! padding.
//!
//! For images, the decoder keeps the cells (n, p, C), `W_e f` of the attention cells
//! (n, P, A), and the mean of the attention cells (n, C). The state is h (B, H) and
//! c (B, H).

mod backward;
mod forward;
mod step;

use super::additive::Embedded;
use super::{Captions, Decoder, Images, Pass, Reading, Resampling, Rows, Step};
use crate::product;
use attend_artifact::model::DecoderConfig;
use tch::Tensor;
use tch::nn::{self, Init, Module};

/// The attention decoder.
pub struct AttentionLstm {
    config: DecoderConfig,
    encoder_att: nn::Linear,  // C -> A
    decoder_att: nn::Linear,  // H -> A
    full_att: nn::Linear,     // A -> 1
    embedding: nn::Embedding, // V -> E
    weight_ih: Tensor,        // (4H, E + C)
    weight_hh: Tensor,        // (4H, H)
    bias_ih: Tensor,          // (4H)
    bias_hh: Tensor,          // (4H)
    init_h: nn::Linear,       // C -> H
    init_c: nn::Linear,       // C -> H
    f_beta: nn::Linear,       // H -> C
    fc: nn::Linear,           // H -> V
}

/// The tensors of [`Images`], with names.
#[derive(Clone, Copy)]
struct Projected<'a> {
    features: &'a Tensor,  // (n, p, C)
    projected: &'a Tensor, // (n, P, A): W_e of the attention cells
    mean: &'a Tensor,      // (n, C): over the attention cells
    resampling: &'a Resampling,
}

impl<'a> From<&'a Images> for Projected<'a> {
    fn from(images: &'a Images) -> Self {
        let [features, projected, mean] = images.rows.each();
        Projected {
            features,
            projected,
            mean,
            resampling: &images.resampling,
        }
    }
}

impl<'a> Projected<'a> {
    /// What attention weighs and sums.
    fn embedded(self) -> Embedded<'a> {
        Embedded {
            values: self.features,
            keys: self.projected,
        }
    }
}

impl AttentionLstm {
    /// A decoder with random weights, initialised as in PyTorch and the tutorial.
    pub fn new(p: &nn::Path, config: &DecoderConfig) -> AttentionLstm {
        let DecoderConfig {
            vocabulary,
            channels,
            embedding,
            attention,
            hidden,
            ..
        } = *config;
        let linear = |path: nn::Path, input: i64, output: i64| {
            let bound = uniform(1.0 / (input as f64).sqrt());
            nn::linear(
                path,
                input,
                output,
                nn::LinearConfig {
                    ws_init: bound,
                    bs_init: Some(bound),
                    bias: true,
                },
            )
        };
        let att = p / "attention";
        let lstm = p / "decode_step";
        let bound = uniform(1.0 / (hidden as f64).sqrt());
        let fc = nn::LinearConfig {
            ws_init: uniform(0.1),
            bs_init: Some(Init::Const(0.0)),
            bias: true,
        };
        AttentionLstm {
            encoder_att: linear(&att / "encoder_att", channels, attention),
            decoder_att: linear(&att / "decoder_att", hidden, attention),
            full_att: linear(&att / "full_att", attention, 1),
            embedding: nn::embedding(
                p / "embedding",
                vocabulary,
                embedding,
                nn::EmbeddingConfig {
                    ws_init: uniform(0.1),
                    ..Default::default()
                },
            ),
            weight_ih: lstm.var("weight_ih", &[4 * hidden, embedding + channels], bound),
            weight_hh: lstm.var("weight_hh", &[4 * hidden, hidden], bound),
            bias_ih: lstm.var("bias_ih", &[4 * hidden], bound),
            bias_hh: lstm.var("bias_hh", &[4 * hidden], bound),
            init_h: linear(p / "init_h", channels, hidden),
            init_c: linear(p / "init_c", channels, hidden),
            f_beta: linear(p / "f_beta", hidden, channels),
            fc: nn::linear(p / "fc", hidden, vocabulary, fc),
            config: config.clone(),
        }
    }

    /// `W_ih` in two parts: for the embedding (4H, E) and for the gated context (4H, C).
    fn input_weights(&self) -> (Tensor, Tensor) {
        let DecoderConfig {
            embedding,
            channels,
            ..
        } = self.config;
        (
            self.weight_ih.narrow(1, 0, embedding),
            self.weight_ih.narrow(1, embedding, channels),
        )
    }
}

impl Decoder for AttentionLstm {
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        let (kind, wide) = (cells.kind(), self.encoder_att.ws.kind());
        let (grid, resampling) = Resampling::new(native, self.config.grid, (wide, cells.device()));
        let cells = resampling.keep(cells); // (n, p, C)
        let weights = self.encoder_att.ws.to_kind(kind);
        let projected = product::linear(&cells, &weights, self.encoder_att.bs.as_ref()); // (n, p, A)
        let projected = resampling.spread(projected); // (n, P, A)
        let mean = resampling.mean(&cells, wide); // (n, C)
        Images {
            rows: Rows::new(vec![cells, projected, mean]),
            resampling,
            grid,
        }
    }

    fn begin(&self, images: &Images) -> Rows {
        let mean = Projected::from(images).mean;
        Rows::new(vec![self.init_h.forward(mean), self.init_c.forward(mean)]) // (n, H)
    }

    fn step(&self, images: &Images, image: &[i64], tokens: &[i64], state: &Rows) -> Step {
        self.advance(images, image, tokens, state.each())
    }

    fn read<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Box<dyn Pass + 'a> {
        Box::new(tch::no_grad(|| self.forward(images, captions, reading)))
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let weight = |linear: &nn::Linear| linear.ws.shallow_clone();
        let copy = Tensor::shallow_clone;
        // Parameters whose gradients are one product are adjacent. Those with an odd number
        // of elements come last, so that the others are aligned for vector instructions.
        let [query, gate, hidden] = HEADS;
        let [query_bias, gate_bias, hidden_bias] = HEADS_BIAS;
        let ([init_h, init_c], [init_h_bias, init_c_bias]) = (INIT, INIT_BIAS);
        let named = [
            (query, weight(&self.decoder_att)),
            (gate, weight(&self.f_beta)),
            (hidden, copy(&self.weight_hh)),
            (query_bias, bias(&self.decoder_att)),
            (gate_bias, bias(&self.f_beta)),
            (hidden_bias, copy(&self.bias_hh)),
            (init_h, weight(&self.init_h)),
            (init_c, weight(&self.init_c)),
            (init_h_bias, bias(&self.init_h)),
            (init_c_bias, bias(&self.init_c)),
            ("decode_step.weight_ih", copy(&self.weight_ih)),
            ("decode_step.bias_ih", copy(&self.bias_ih)),
            ("attention.encoder_att.weight", weight(&self.encoder_att)),
            ("attention.encoder_att.bias", bias(&self.encoder_att)),
            ("attention.full_att.weight", weight(&self.full_att)),
            ("embedding.weight", copy(&self.embedding.ws)),
            ("fc.weight", weight(&self.fc)),
            ("fc.bias", bias(&self.fc)),
            ("attention.full_att.bias", bias(&self.full_att)),
        ];
        named.map(|(name, tensor)| (name.to_owned(), tensor)).into()
    }

    fn embedding(&self) -> &'static str {
        "embedding.weight"
    }

    fn word_parameters(&self) -> &'static [&'static str] {
        &["embedding.weight", "fc.weight", "fc.bias"]
    }
}

/// Weights for h at each step: query (A), gate of the context (C), gates (4H).
const HEADS: [&str; 3] = [
    "attention.decoder_att.weight",
    "f_beta.weight",
    "decode_step.weight_hh",
];
const HEADS_BIAS: [&str; 3] = [
    "attention.decoder_att.bias",
    "f_beta.bias",
    "decode_step.bias_hh",
];
/// Weights for the mean of the cells: h_0 (H), c_0 (H).
const INIT: [&str; 2] = ["init_h.weight", "init_c.weight"];
const INIT_BIAS: [&str; 2] = ["init_h.bias", "init_c.bias"];

#[expect(clippy::expect_used, reason = "each layer here is made with a bias")]
fn bias(linear: &nn::Linear) -> Tensor {
    let bias = linear.bs.as_ref().expect("a bias");
    bias.shallow_clone()
}

fn uniform(bound: f64) -> Init {
    Init::Uniform {
        lo: -bound,
        up: bound,
    }
}
