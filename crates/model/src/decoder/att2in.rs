//! Att2in of *Self-critical Sequence Training* (Rennie et al. 2017), as ruotianluo's
//! `Att2in2Model` has it, with its parameter names.
//!
//! ```text
//! v_i = dropout(relu(W_v f_i))                  k_i = W_k v_i
//! a_t = softmax(w . tanh(k_i + W_q h_{t-1}))     z_t = sum_i a_ti v_i
//! x_t = dropout(relu(E y_{t-1}))
//! [i, f, o, g] = W_x x_t + W_h h_{t-1}           g = g + W_z z_t, in two halves
//! c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * max(g_1, g_2)
//! h_t = sigmoid(o) * tanh(c_t)                  h_0, c_0 = 0
//! logits_t = W_o dropout(h_t)
//! ```
//!
//! Their names: W_v `att_embed.0`, W_k `ctx2att`, w `core.attention.alpha_net`, W_q
//! `core.attention.h2att`, E `embed.0`, W_x `core.i2h`, W_h `core.h2h`, W_z `core.a2c`, W_o
//! `logit`; each but E has a bias. The reference's `fc_embed`, of the whole image, is not used
//! by this architecture and left out.
//!
//! Shapes: n images, p kept cells, P attention cells, C channels, A attention width, E
//! embedding, H hidden, B captions, V vocabulary, N tokens without padding.
//!
//! For images, the decoder keeps the cells (n, p, C), v (n, P, H) and k (n, P, A). The state
//! is h (B, H) and c (B, H).

use super::additive::Attended;
use super::recurrent::Core;
use super::taped::Weights;
use tch::Tensor;

/// The LSTM, whose width is `hidden`.
pub(super) struct Att2in {
    pub hidden: i64,
}

impl Core for Att2in {
    const STATE: usize = 2;

    fn words(&self, w: &Weights, words: &Tensor) -> Tensor {
        w.linear("core.i2h", words) // (N, 5H)
    }

    fn advance(
        &self,
        w: &Weights,
        cells: &Attended,
        known: &Tensor,
        state: &[Tensor],
    ) -> (Vec<Tensor>, Tensor) {
        let (h, c, hidden) = (&state[0], &state[1], self.hidden);
        let [alpha, context] = cells.attend(w, h);
        let sums = known + w.linear("core.h2h", h); // (B, 5H)
        let gates = sums.narrow(1, 0, 3 * hidden).sigmoid().chunk(3, 1);
        let [i, f, o] = [0, 1, 2].map(|gate| &gates[gate]);
        let halves = sums.narrow(1, 3 * hidden, 2 * hidden) + w.linear("core.a2c", &context);
        let halves = halves.chunk(2, 1);
        let c = f * c + i * halves[0].maximum(&halves[1]); // (B, H)
        let h = o * c.tanh(); // (B, H)
        (vec![h, c], alpha)
    }
}
