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
//! For images, the decoder keeps the cells (n, p, C), v_i (n, P, H), k (n, P, A), v (n, H) and
//! the part of the first LSTM's gates that v makes (n, 4H). The state is h2, c2, h1 and c1,
//! (B, H) each.

use super::linear::{Linear, Products};
use super::lstms::{After, Attend, AttendBack, Attended, Before, Core};
use crate::decoder::parameters::Weights;
use tch::Tensor;

/// The two LSTMs, whose widths are `hidden`.
pub(super) struct UpDown {
    pub hidden: i64,
}

/// The first LSTM's weights; their columns are those of h2, v and x.
const INPUT: &str = "core.att_lstm.weight_ih";
const OF_H1: Linear = Linear::new("core.att_lstm.weight_hh", "core.att_lstm.bias_hh");
const OF_SEEN: Linear = Linear::new("core.lang_lstm.weight_ih", "core.lang_lstm.bias_ih");
const OF_H2: Linear = Linear::new("core.lang_lstm.weight_hh", "core.lang_lstm.bias_hh");

/// What the backward pass needs.
pub(super) struct Kept {
    h2: Tensor,   // (B, H): h2_{t-1}
    h1: Tensor,   // (B, H): h1_{t-1}
    seen: Tensor, // (B, 2H): context, h1_t
    first: Lstm,
    second: Lstm,
    attended: Attended,
}

impl UpDown {
    /// The first LSTM's gates of h2_{t-1}.
    fn of_h2(&self) -> Linear {
        Linear::of_columns(INPUT, (0, self.hidden))
    }
}

impl Core for UpDown {
    const STATE: usize = 4;
    type Kept = Kept;

    fn whole(&self) -> Option<[Linear; 2]> {
        let of_mean = Linear::new("fc_embed.0.weight", "fc_embed.0.bias"); // (C) -> (H)
        let of_v = Linear::of_columns(INPUT, (self.hidden, self.hidden)) // (H) -> (4H)
            .with_bias("core.att_lstm.bias_ih");
        Some([of_mean, of_v])
    }

    fn word(&self, embedding: i64) -> Linear {
        Linear::of_columns(INPUT, (2 * self.hidden, embedding)) // (E) -> (4H)
    }

    fn advance(&self, w: &Weights, attend: Attend, known: Tensor, state: &[Tensor]) -> After<Kept> {
        let [h2, c2, before, c1] = [0, 1, 2, 3].map(|place| &state[place]);
        let gates = self.of_h2().add(w, known, h2); // (B, 4H)
        let gates = OF_H1.add(w, gates, before);
        let (first, h1, c1) = Lstm::advance(gates, c1);
        let attended = attend(&h1);
        let seen = Tensor::cat(&[&attended.context, &h1], 1);
        let gates = OF_SEEN.of(w, &seen);
        let gates = OF_H2.add(w, gates, h2);
        let (second, after, c2) = Lstm::advance(gates, c2);
        After {
            state: vec![after, c2, h1, c1],
            kept: Kept {
                h2: h2.shallow_clone(),
                h1: before.shallow_clone(),
                seen,
                first,
                second,
                attended,
            },
        }
    }

    fn attended(kept: &Kept) -> &Attended {
        &kept.attended
    }

    fn back(
        &self,
        kept: &Kept,
        grad_state: &[Tensor],
        products: &mut Products,
        attend_back: AttendBack,
    ) -> Before {
        let [grad_h2, grad_c2, grad_h1, grad_c1] = [0, 1, 2, 3].map(|place| &grad_state[place]);
        let (gates, grad_c2) = kept.second.back(grad_h2, grad_c2);
        let grad_h2 = products.back(&OF_H2, &kept.h2, &gates);
        let grad_seen = products.back(&OF_SEEN, &kept.seen, &gates); // (B, 2H)
        let [grad_context, of_h1] =
            [0, 1].map(|part| grad_seen.narrow(1, part * self.hidden, self.hidden));
        let h1 = kept.seen.narrow(1, self.hidden, self.hidden);
        let of_query = attend_back(&kept.attended, grad_context.contiguous(), products, &h1);
        let (gates, grad_c1) = kept.first.back(&(of_h1 + of_query + grad_h1), grad_c1);
        let grad_h2 = grad_h2 + products.back(&self.of_h2(), &kept.h2, &gates);
        let grad_h1 = products.back(&OF_H1, &kept.h1, &gates);
        Before {
            known: gates,
            state: vec![grad_h2, grad_c2, grad_h1, grad_c1],
        }
    }
}

/// A step of an LSTM.
struct Lstm {
    gates: Tensor, // (B, 4H): i, f, g, o, PyTorch's order
    c: Tensor,     // (B, H): c_{t-1}
    tanh: Tensor,  // (B, H): of c_t
}

impl Lstm {
    /// h and c from the sums of the gates (B, 4H) and the previous c (B, H).
    fn advance(gates: Tensor, c: &Tensor) -> (Lstm, Tensor, Tensor) {
        let hidden = c.size()[1];
        let _ = gates.narrow(1, 0, 2 * hidden).sigmoid_();
        let _ = gates.narrow(1, 2 * hidden, hidden).tanh_();
        let _ = gates.narrow(1, 3 * hidden, hidden).sigmoid_();
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates.narrow(1, gate * hidden, hidden));
        let after = (f * c).addcmul_(&i, &g);
        let tanh = after.tanh();
        let h = o * &tanh;
        let c = c.shallow_clone();
        (Lstm { gates, c, tanh }, h, after)
    }

    /// The gradients of the gates' sums (B, 4H) and of the previous c, from those of h and c.
    fn back(&self, grad_h: &Tensor, grad_c: &Tensor) -> (Tensor, Tensor) {
        let hidden = self.c.size()[1];
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| self.gates.narrow(1, gate * hidden, hidden));
        let grad_o = Tensor::sigmoid_backward(&(grad_h * &self.tanh), &o);
        let grad_c = Tensor::tanh_backward(&(grad_h * &o), &self.tanh) + grad_c;
        let grad_f = Tensor::sigmoid_backward(&(&grad_c * &self.c), &f);
        let grad_i = Tensor::sigmoid_backward(&(&grad_c * &g), &i);
        let grad_g = Tensor::tanh_backward(&(&grad_c * &i), &g);
        let gates = Tensor::cat(&[grad_i, grad_f, grad_g, grad_o], 1);
        (gates, grad_c * f)
    }
}
