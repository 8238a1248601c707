//! The attention decoder of *Show, Attend and Tell* (Xu et al. 2015), soft
//! attention, with the tutorial's parameter names.
//!
//! ```text
//! a_t = softmax(w . relu(W_e f + W_d h_{t-1}) + b)      z_t = sum_i a_ti f_i
//! x_t = [ E y_{t-1} ; sigmoid(W_b h_{t-1}) * z_t ]       h_t, c_t = LSTM(x_t, h_{t-1}, c_{t-1})
//! logits_t = W_o dropout(h_t)                            h_0, c_0 = linear(mean_i f_i)
//! ```
//!
//! The same numbers with less work: `W_e f` depends on the image alone; the
//! attention grid is a fixed linear map R of the encoder's native cells, so the
//! wide products run over the smaller of the two grids; the embeddings' half of `W_ih x_t` is
//! one product before the loop, the logits one product after it.
//!
//! Shapes: n images, p native cells, P attention cells, C channels, A attention
//! width, E embedding, H hidden, B captions, T steps, V vocabulary, N real tokens.

mod attention;
mod backward;
mod kernel;
mod product;
mod teacher;

pub use backward::Gradients;
pub use teacher::{Captions, Loss, Objective, Reading, Teacher};

use attend_artifact::model::DecoderConfig;
use tch::nn::{self, Init, Module};
use tch::{Device, Kind, Tensor};

/// The attention decoder.
pub struct Decoder {
    /// Its sizes.
    pub config: DecoderConfig,
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

/// All of an image that the decoder needs, whatever the caption.
pub struct Projected {
    features: Tensor,         // (n, p, C)
    projected: Tensor,        // (n, P, A): W_e of the attention cells
    mean: Tensor,             // (n, C): over the attention cells
    resample: Option<Tensor>, // (P, p): R, where the grids differ
    pooled: Option<Tensor>,   // (p, native cells): what made the features of a finer grid
    /// Attention grid, [height, width]; P is their product.
    pub grid: [i64; 2],
}

/// LSTM state.
pub struct State {
    /// Hidden state (B, H).
    pub h: Tensor,
    /// Cell state (B, H).
    pub c: Tensor,
}

/// What one step gives.
pub struct Step {
    /// Scores of the next token, (B, V).
    pub logits: Tensor,
    /// State after the step.
    pub state: State,
    /// Attention over the cells, (B, P).
    pub alpha: Tensor,
}

impl Projected {
    /// Number of images, n.
    pub fn len(&self) -> i64 {
        self.features.size()[0]
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.features.device()
    }

    /// What matrix products are computed in; sums, softmax and the LSTM's state are of
    /// the weights' kind.
    pub(crate) fn kind(&self) -> Kind {
        self.features.kind()
    }

    /// Some of the images, in the order of `index` (i64).
    pub fn select(&self, index: &Tensor) -> Projected {
        let index = index.to_device(self.device());
        self.each(|tensor| tensor.index_select(0, &index))
    }

    /// The first images, without a copy.
    pub fn first(&self, count: i64) -> Projected {
        self.each(|tensor| tensor.narrow(0, 0, count))
    }

    fn each(&self, of: impl Fn(&Tensor) -> Tensor) -> Projected {
        Projected {
            features: of(&self.features),
            projected: of(&self.projected),
            mean: of(&self.mean),
            resample: self.resample.as_ref().map(Tensor::shallow_clone),
            pooled: self.pooled.as_ref().map(Tensor::shallow_clone),
            grid: self.grid,
        }
    }
}

impl State {
    /// Some rows of the state, in the order of `rows` (i64).
    pub fn select(&self, rows: &Tensor) -> State {
        let rows = rows.to_device(self.h.device());
        State {
            h: self.h.index_select(0, &rows),
            c: self.c.index_select(0, &rows),
        }
    }

    /// The first rows, without a copy.
    pub fn first(&self, count: i64) -> State {
        State {
            h: self.h.narrow(0, 0, count),
            c: self.c.narrow(0, 0, count),
        }
    }
}

impl Decoder {
    /// A decoder with fresh weights, drawn as PyTorch and the tutorial draw them.
    pub fn new(p: &nn::Path, config: &DecoderConfig) -> Decoder {
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
        Decoder {
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

    /// Prepares images: `cells` (n, p, C) of the encoder's `native` grid. Where they are
    /// of another kind than the weights, bf16 say, [`Decoder::teacher_forcing`] computes
    /// its matrix products in that kind (mixed precision); searching takes the weights'.
    pub fn project(&self, cells: &Tensor, native: [i64; 2]) -> Projected {
        let grid = if self.config.grid == [0, 0] {
            native
        } else {
            self.config.grid
        };
        let (kind, wide) = (cells.kind(), self.encoder_att.ws.kind());
        let resample =
            (grid != native).then(|| pooling_matrix(native, grid, cells.device()).to_kind(wide)); // (P, p)
        let pool = |r: &Tensor, cells: &Tensor| r.to_kind(kind).matmul(cells);
        // The wide products run over whichever grid has fewer cells.
        let (cells, resample, pooled) = match resample {
            Some(r) if r.size()[0] < r.size()[1] => (pool(&r, cells), None, Some(r)), // (n, P, C): p = P from here
            other => (cells.contiguous(), other, None),
        };
        let bias = self.encoder_att.bs.as_ref().map(|bias| bias.to_kind(kind));
        let projected = cells.linear(&self.encoder_att.ws.to_kind(kind), bias); // (n, p, A)
        let (projected, mean) = match &resample {
            Some(r) => {
                let share = r.mean_dim(0i64, true, None); // (1, p)
                (pool(r, &projected), pool(&share, &cells).squeeze_dim(1)) // (n, P, A), (n, C)
            }
            None => (projected, cells.mean_dim(1i64, false, wide)),
        };
        Projected {
            features: cells,
            projected,
            mean: mean.to_kind(wide),
            resample,
            pooled,
            grid,
        }
    }

    /// State before the first word.
    pub fn init_state(&self, images: &Projected) -> State {
        State {
            h: self.init_h.forward(&images.mean),
            c: self.init_c.forward(&images.mean),
        } // (n, H)
    }

    /// One step from the previous `tokens` i64 (B), B a multiple of n: the rows
    /// of an image stand together.
    pub fn step(&self, images: &Projected, tokens: &Tensor, state: &State) -> Step {
        let (of_word, of_context) = self.input_weights();
        let gates = self.word_gates(tokens, &of_word); // (B, 4H)
        let (state, alpha) = self.advance(images, &gates, &of_context, state);
        Step {
            logits: self.fc.forward(&state.h), // (B, V)
            state,
            alpha,
        }
    }

    /// `W_ih` in two: of the embedding (4H, E) and of the gated context (4H, C).
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

    /// The words' half of `W_ih x`, with both biases: i64 (N) -> (N, 4H).
    fn word_gates(&self, tokens: &Tensor, of_word: &Tensor) -> Tensor {
        let bias = &self.bias_ih + &self.bias_hh; // (4H)
        self.embedding.forward(tokens).linear(of_word, Some(&bias)) // (N, 4H)
    }

    /// Attention and LSTM: `gates` (B, 4H) are those of the previous words,
    /// `of_context` (4H, C) the context's half of `W_ih`; B = n x k.
    fn advance(
        &self,
        images: &Projected,
        gates: &Tensor,
        of_context: &Tensor,
        state: &State,
    ) -> (State, Tensor) {
        let DecoderConfig {
            channels,
            hidden,
            attention,
            ..
        } = self.config;
        let n = images.len();
        let query = self.decoder_att.forward(&state.h); // (B, A)
        let query = query.view([n, -1, 1, attention]); // (n, k, 1, A)
        let seen = (images.projected.unsqueeze(1) + query).relu(); // (n, k, P, A)
        let scores = self.full_att.forward(&seen).squeeze_dim(-1); // (n, k, P)
        let alpha = scores.softmax(-1, None); // (n, k, P)
        let weights = match &images.resample {
            Some(r) => alpha.matmul(r), // (n, k, p): R^T a
            None => alpha.shallow_clone(),
        };
        let context = weights.bmm(&images.features).view([-1, channels]); // (B, C)
        let context = self.f_beta.forward(&state.h).sigmoid() * context; // (B, C)
        let gates = gates
            + context.linear(of_context, None::<&Tensor>)
            + state.h.linear(&self.weight_hh, None::<&Tensor>); // (B, 4H)
        let gates = gates.view([-1, 4, hidden]); // (B, 4, H)
        let gate = |index: i64| gates.select(1, index); // PyTorch's order: i, f, g, o
        let c = gate(1).sigmoid() * &state.c + gate(0).sigmoid() * gate(2).tanh(); // (B, H)
        let h = gate(3).sigmoid() * c.tanh(); // (B, H)
        let alpha = alpha.view([h.size()[0], -1]); // (B, P)
        (State { h, c }, alpha)
    }
}

/// R (P, p): adaptive average pooling from one grid to another as a matrix.
fn pooling_matrix(native: [i64; 2], grid: [i64; 2], device: Device) -> Tensor {
    let cells = native[0] * native[1];
    let identity =
        Tensor::eye(cells, (Kind::Double, device)).view([cells, 1, native[0], native[1]]); // (p, 1, h, w)
    identity
        .adaptive_avg_pool2d(grid)
        .view([cells, grid[0] * grid[1]])
        .tr()
        .contiguous() // (P, p)
}

fn uniform(bound: f64) -> Init {
    Init::Uniform {
        lo: -bound,
        up: bound,
    }
}
