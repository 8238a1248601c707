//! Up-Down of *Bottom-Up and Top-Down Attention* (Anderson et al. 2018), as ruotianluo's
//! `UpDownModel` has it, with its parameter names: an LSTM that attends, and one that speaks.
//!
//! ```text
//! v_i = dropout(relu(W_v f_i))                   k_i = W_k v_i
//! v = dropout(relu(W_u mean_i f_i))              x_t = dropout(relu(E y_{t-1}))
//! h1_t, c1_t = LSTM([ h2_{t-1} ; v ; x_t ], h1_{t-1}, c1_{t-1})
//! a_t = softmax(w . tanh(k_i + W_q h1_t))         z_t = sum_i a_ti v_i
//! h2_t, c2_t = LSTM([ z_t ; h1_t ], h2_{t-1}, c2_{t-1})
//! logits_t = W_o dropout(h2_t)                   h1_0, c1_0, h2_0, c2_0 = 0
//! ```
//!
//! Their names: W_v `att_embed.0`, W_k `ctx2att`, W_u `fc_embed.0`, E `embed.0`, w
//! `core.attention.alpha_net`, W_q `core.attention.h2att`, the LSTMs `core.att_lstm` and
//! `core.lang_lstm`, W_o `logit`. The mean of the attention cells stands for the reference's
//! features of the whole image.
//!
//! Shapes: n images, p kept cells, P attention cells, C channels, A attention width, E
//! embedding, H hidden, B captions, V vocabulary, N tokens without padding.
//!
//! For images, the decoder keeps the cells (n, p, C), v_i (n, P, H), k (n, P, A) and the part
//! of the first LSTM's gates that v makes (n, 4H). The state is h2, c2, h1 and c1, (B, H) each.

use super::additive::Attended;
use super::recurrent::Core;
use super::taped::{Weights, affine};
use tch::Tensor;

/// The two LSTMs, whose widths are `hidden`.
pub(super) struct UpDown {
    pub hidden: i64,
}

/// The first LSTM's weights; their columns are those of h2, v and x.
const INPUT: &str = "core.att_lstm.weight_ih";

impl Core for UpDown {
    const STATE: usize = 4;

    fn ready(&self, w: Weights) -> Weights {
        let embedding = w.get(INPUT).size()[1] - 2 * self.hidden;
        let columns = [("h", self.hidden), ("v", self.hidden), ("x", embedding)];
        w.with_columns(INPUT, &columns)
    }

    fn image(&self, w: &Weights, mean: &Tensor, dropout: f64) -> Option<Tensor> {
        let v = w.linear("fc_embed.0", mean).relu(); // (n, H)
        let v = v.dropout(dropout, dropout > 0.0);
        let of_v = w.get(&format!("{INPUT}.v"));
        Some(affine(&v, of_v, Some(w.get("core.att_lstm.bias_ih")))) // (n, 4H)
    }

    fn words(&self, w: &Weights, words: &Tensor) -> Tensor {
        affine(words, w.get(&format!("{INPUT}.x")), None) // (N, 4H)
    }

    fn advance(
        &self,
        w: &Weights,
        cells: &Attended,
        known: &Tensor,
        state: &[Tensor],
    ) -> (Vec<Tensor>, Tensor) {
        let [h2, c2, h1, c1] = [0, 1, 2, 3].map(|place| &state[place]);
        let of_h2 = affine(h2, w.get(&format!("{INPUT}.h")), None); // (B, 4H)
        let gates = known + of_h2 + of_lstm(w, "core.att_lstm", "hh", h1);
        let [h1, c1] = lstm(&gates, c1);
        let [alpha, context] = cells.attend(w, &h1);
        let input = Tensor::cat(&[&context, &h1], 1); // (B, 2H)
        let gates = of_lstm(w, "core.lang_lstm", "ih", &input);
        let gates = gates + of_lstm(w, "core.lang_lstm", "hh", h2);
        let [h2, c2] = lstm(&gates, c2);
        (vec![h2, c2, h1, c1], alpha)
    }
}

/// A part of an LSTM's gates, (B, 4H).
fn of_lstm(w: &Weights, lstm: &str, part: &str, x: &Tensor) -> Tensor {
    let [weight, bias] = ["weight", "bias"].map(|name| w.get(&format!("{lstm}.{name}_{part}")));
    affine(x, weight, Some(bias))
}

/// h and c from the gates (B, 4H), in PyTorch's order, and the previous c (B, H).
fn lstm(gates: &Tensor, c: &Tensor) -> [Tensor; 2] {
    let gates = gates.chunk(4, 1);
    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| &gates[gate]);
    let c = f.sigmoid() * c + i.sigmoid() * g.tanh();
    let h = o.sigmoid() * c.tanh();
    [h, c]
}
