//! The parts of a Transformer's layers.

use crate::decoder::parameters::Weights;
use tch::{Kind, Tensor};

/// Added to the standard deviation.
const EPSILON: f64 = 1e-6;

/// The layers in a pass.
pub(super) struct Layers<'a> {
    pub w: &'a Weights,
    pub heads: i64,
    /// 0 outside training.
    pub dropout: f64,
}

impl Layers<'_> {
    /// After dropout.
    pub fn dropped(&self, x: Tensor) -> Tensor {
        match self.dropout {
            0.0 => x,
            share => x.dropout(share, true),
        }
    }

    /// A layer of the encoder: (n, P, D) -> (n, P, D).
    pub fn encoder(&self, layer: &str, cells: &Tensor) -> Tensor {
        let cells = self.add(layer, 0, cells, |cells| {
            let name = format!("{layer}.self_attn");
            let all = [0, 1, 2].map(|n| self.heads(&self.linear(&name, n, &cells)));
            let [query, key, value] = &all;
            self.linear(&name, 3, &self.attend(query, [key, value], None).0)
        });
        self.add(layer, 1, &cells, |cells| self.feed_forward(layer, &cells))
    }

    /// x with what a part of a layer adds to it, from x normalised.
    pub fn add(
        &self,
        layer: &str,
        part: usize,
        x: &Tensor,
        of: impl FnOnce(Tensor) -> Tensor,
    ) -> Tensor {
        let normal = self.norm(&format!("{layer}.sublayer.{part}.norm"), x);
        x + self.dropped(of(normal))
    }

    /// `a (x - mean) / (std + 1e-6) + b` over the last dimension.
    pub fn norm(&self, name: &str, x: &Tensor) -> Tensor {
        let [a, b] = ["a_2", "b_2"].map(|parameter| self.w.get(&format!("{name}.{parameter}")));
        let (std, mean) = x.std_mean_dim(-1i64, true, true);
        a * (x - mean) / (std + EPSILON) + b
    }

    /// `W_2 dropout(relu(W_1 x))`
    pub fn feed_forward(&self, layer: &str, x: &Tensor) -> Tensor {
        let inner = self
            .w
            .linear(&format!("{layer}.feed_forward.w_1"), x)
            .relu();
        self.w
            .linear(&format!("{layer}.feed_forward.w_2"), &self.dropped(inner))
    }

    /// One of an attention's linear maps: to queries, keys, values, and from contexts.
    pub fn linear(&self, attention: &str, number: usize, x: &Tensor) -> Tensor {
        self.w.linear(&format!("{attention}.linears.{number}"), x)
    }

    /// By heads: (n, m, D) -> (n, h, m, d).
    pub fn heads(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let split = x.view([size[0], size[1], self.heads, -1]);
        split.transpose(1, 2).contiguous()
    }

    /// Contexts (n, m, D) and attention (n, h, m, k) of queries (n, h, m, d) to keys and values
    /// (n, h, k, d). `mask` (m, k) is added before the softmax.
    pub fn attend(
        &self,
        query: &Tensor,
        [key, value]: [&Tensor; 2],
        mask: Option<&Tensor>,
    ) -> (Tensor, Tensor) {
        let width = query.size()[3] as f64;
        let scores = (query / width.sqrt()).matmul(&key.transpose(-2, -1)); // (n, h, m, k)
        let scores = match mask {
            Some(mask) => scores + mask,
            None => scores,
        };
        let weights = scores.softmax(-1, None);
        let dropped = self.dropped(weights.shallow_clone());
        let context = dropped.matmul(value).transpose(1, 2).flatten(2, 3); // (n, m, D)
        (context, weights)
    }
}

/// Sines and cosines of the first `count` positions, of the kind and on the device of `like`:
/// (count, width); `width` is even.
pub(super) fn positions(count: i64, width: i64, like: &Tensor) -> Tensor {
    let options = (Kind::Double, like.device());
    let position = Tensor::arange(count, options).unsqueeze(1); // (count, 1)
    let even = Tensor::arange_start_step(0, width, 2, options);
    let angle = position * (even * (-10_000f64.ln() / width as f64)).exp(); // (count, width / 2)
    let both = Tensor::stack(&[angle.sin(), angle.cos()], 2).flatten(1, 2);
    both.to_kind(like.kind())
}
