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

/// Embedded cells, and the rows that attend to them.
pub(super) struct Attended {
    values: Tensor, // (n, P, H)
    keys: Tensor,   // (n, P, A)
    slots: Slots,
}

impl Attended {
    /// For the rows of a step; `image` says which of the images each belongs to.
    pub fn by_rows(values: &Tensor, keys: &Tensor, image: &[i64]) -> Attended {
        Attended {
            values: values.shallow_clone(),
            keys: keys.shallow_clone(),
            slots: Slots::new(values.size()[0], image, values.device()),
        }
    }

    /// For captions, a copy for each; `image` i64 (B) says which of the images it describes.
    pub fn by_captions([values, keys]: &[Tensor; 2], image: &Tensor) -> Attended {
        Attended {
            values: values.index_select(0, image),
            keys: keys.index_select(0, image),
            slots: Slots::each(image.size()[0]),
        }
    }

    /// For the first captions.
    pub fn first(&self, count: i64) -> Attended {
        Attended {
            values: self.values.narrow(0, 0, count),
            keys: self.keys.narrow(0, 0, count),
            slots: Slots::each(count),
        }
    }

    /// Attention (B, P) and context (B, H) for h (B, H).
    pub fn attend(&self, w: &Weights, h: &Tensor) -> [Tensor; 2] {
        let kind = self.keys.kind();
        let query = w.linear("core.attention.h2att", h).to_kind(kind);
        let query = self.slots.spread(&query).unsqueeze(2); // (n, m, 1, A)
        let seen = (self.keys.unsqueeze(1) + query).tanh_(); // (n, m, P, A)
        let scores = w.linear("core.attention.alpha_net", &seen).squeeze_dim(-1);
        let alpha = scores.softmax(-1, h.kind()); // (n, m, P)
        let context = alpha.to_kind(kind).bmm(&self.values).to_kind(h.kind()); // (n, m, H)
        [alpha, context].map(|places| self.slots.collect(&places))
    }
}
