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

use super::linear::{Linear, Products};
use super::lstms::{After, Attend, AttendBack, Attended, Before, Core};
use crate::decoder::parameters::Weights;
use tch::Tensor;

/// The LSTM, whose width is `hidden`.
pub(super) struct Att2in {
    pub hidden: i64,
}

const OF_HIDDEN: Linear = Linear::new("core.h2h.weight", "core.h2h.bias");
const OF_CONTEXT: Linear = Linear::new("core.a2c.weight", "core.a2c.bias");

/// What the backward pass needs.
pub(super) struct Kept {
    h: Tensor,      // (B, H): h_{t-1}
    c: Tensor,      // (B, H): c_{t-1}
    gates: Tensor,  // (B, 3H): i, f, o
    halves: Tensor, // (B, 2H): g_1, g_2
    most: Tensor,   // (B, H): their maximum
    tanh: Tensor,   // (B, H): of c_t
    attended: Attended,
}

impl Core for Att2in {
    const STATE: usize = 2;
    type Kept = Kept;

    fn word(&self, _embedding: i64) -> Linear {
        Linear::new("core.i2h.weight", "core.i2h.bias") // (E) -> (5H)
    }

    fn advance(&self, w: &Weights, attend: Attend, known: Tensor, state: &[Tensor]) -> After<Kept> {
        let (h, c, hidden) = (&state[0], &state[1], self.hidden);
        let attended = attend(h);
        let sums = OF_HIDDEN.add(w, known, h); // (B, 5H)
        let gates = sums.narrow(1, 0, 3 * hidden).sigmoid();
        let halves = sums.narrow(1, 3 * hidden, 2 * hidden);
        let halves = OF_CONTEXT.add(w, halves, &attended.context);
        let [i, f, o] = [0, 1, 2].map(|gate| gates.narrow(1, gate * hidden, hidden));
        let [first, second] = [0, 1].map(|half| halves.narrow(1, half * hidden, hidden));
        let most = first.maximum(&second);
        let after = (f * c).addcmul_(&i, &most);
        let tanh = after.tanh();
        After {
            state: vec![o * &tanh, after],
            kept: Kept {
                h: h.shallow_clone(),
                c: c.shallow_clone(),
                gates,
                halves,
                most,
                tanh,
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
        let hidden = self.hidden;
        let [i, f, o] = [0, 1, 2].map(|gate| kept.gates.narrow(1, gate * hidden, hidden));
        let [first, second] = [0, 1].map(|half| kept.halves.narrow(1, half * hidden, hidden));
        let grad_h = &grad_state[0];
        let grad_o = Tensor::sigmoid_backward(&(grad_h * &kept.tanh), &o);
        let grad_c = Tensor::tanh_backward(&(grad_h * &o), &kept.tanh) + &grad_state[1];
        let grad_f = Tensor::sigmoid_backward(&(&grad_c * &kept.c), &f);
        let grad_i = Tensor::sigmoid_backward(&(&grad_c * &kept.most), &i);
        let grad_most = &grad_c * i;
        let is_first = first.ge_tensor(&second);
        let grad_first = &grad_most * &is_first;
        let grad_second = grad_most - &grad_first;
        let grad_sums = Tensor::cat(&[grad_i, grad_f, grad_o, grad_first, grad_second], 1);
        let grad_halves = grad_sums.narrow(1, 3 * hidden, 2 * hidden);
        let attended = &kept.attended;
        let grad_context = products.back(&OF_CONTEXT, &attended.context, &grad_halves);
        let grad_query = attend_back(attended, grad_context, products, &kept.h);
        let grad_h = products.back(&OF_HIDDEN, &kept.h, &grad_sums) + grad_query;
        Before {
            known: grad_sums,
            state: vec![grad_h, grad_c * f],
        }
    }
}
