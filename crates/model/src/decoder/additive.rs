//! Additive attention (Bahdanau et al. 2015) over embedded cells, as in Att2in and Up-Down.
//!
//! ```text
//! v_i = dropout(relu(W_v f_i))            k_i = W_k v_i
//! a = softmax(w . tanh(k_i + W_q h))      z = sum_i a_i v_i
//! ```

use super::Resampling;
use super::slots::Slots;
use super::taped::Weights;
use tch::Tensor;

/// Embeds cells (n, p, C) of [`Resampling::keep`]: values (n, P, H) and keys (n, P, A). The
/// wide product runs over these cells: `W_v R f = R W_v f`.
pub(super) fn embed(
    w: &Weights,
    cells: &Tensor,
    resampling: &Resampling,
    dropout: f64,
) -> [Tensor; 2] {
    let values = resampling.spread(w.linear("att_embed.0", cells)).relu();
    let values = values.dropout(dropout, dropout > 0.0);
    let keys = w.linear("ctx2att", &values);
    [values, keys]
}

/// Embedded cells of images, and the places of the rows that attend to them.
pub(super) struct Attended<'a> {
    pub values: &'a Tensor, // (n, P, H)
    pub keys: &'a Tensor,   // (n, P, A)
    pub slots: &'a Slots,
}

impl Attended<'_> {
    /// Attention (B, P) and context (B, H) for h (B, H).
    pub fn attend(&self, w: &Weights, h: &Tensor) -> [Tensor; 2] {
        let kind = self.keys.kind();
        let query = w.linear("core.attention.h2att", h).to_kind(kind);
        let query = self.slots.spread(&query).unsqueeze(2); // (n, m, 1, A)
        let seen = (self.keys.unsqueeze(1) + query).tanh_(); // (n, m, P, A)
        let scores = w.linear("core.attention.alpha_net", &seen).squeeze_dim(-1);
        let alpha = scores.softmax(-1, h.kind()); // (n, m, P)
        let context = alpha.to_kind(kind).bmm(self.values).to_kind(h.kind()); // (n, m, H)
        [alpha, context].map(|places| self.slots.collect(&places))
    }
}
