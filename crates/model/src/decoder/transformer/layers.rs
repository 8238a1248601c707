//! The parts of a Transformer's layers, each with its backward pass.

use super::tape::{Back, Tape, Way};
use crate::decoder::Gradients;
use crate::decoder::dropout::{dropped, through, through_relu};
use crate::decoder::parameters::Weights;
use crate::product::{linear, product};
use tch::{Kind, Tensor};

/// Added to the standard deviation.
const EPSILON: f64 = 1e-6;

/// The layers in a pass.
pub(super) struct Layers<'a> {
    pub w: &'a Weights,
    pub heads: i64,
    /// 0 outside training, as that of the embedded cells.
    pub dropout: f64,
    pub of_cells: f64,
}

impl Layers<'_> {
    /// A layer of the encoder: (n, P, D) -> (n, P, D).
    pub fn encoder(&self, layer: &str, cells: &Tensor, tape: &mut Tape) -> Tensor {
        let cells = self.add(layer, 0, cells, tape, |cells| {
            let name = format!("{layer}.self_attn");
            let maps = [0, 1, 2].map(|n| self.linear(&name, n, cells));
            let [query, key, value] = maps.each_ref().map(|(x, _)| self.heads(x));
            let attended = self.attend(&query, [&key, &value], None);
            let (added, last) = self.linear(&name, 3, &attended.context);
            let back = move |grad: Tensor, way: &mut Way| {
                let grad = last.back(&grad, way.into);
                let of_heads = attended.back(&grad, None).map(|grad| merged(&grad));
                sum_back(maps.map(|(_, map)| map), of_heads, way.into)
            };
            (added, back)
        });
        self.add(layer, 1, &cells, tape, |cells| {
            self.feed_forward(layer, cells)
        })
    }

    /// x with what a part of a layer adds to it, from x normalised.
    pub fn add<B: FnOnce(Tensor, &mut Way) -> Tensor + 'static>(
        &self,
        layer: &str,
        part: usize,
        x: &Tensor,
        tape: &mut Tape,
        of: impl FnOnce(&Tensor) -> (Tensor, B),
    ) -> Tensor {
        let (normal, norm) = self.norm(&format!("{layer}.sublayer.{part}.norm"), x);
        let (added, back) = of(&normal);
        let (added, mask) = dropped(added, self.dropout);
        tape.keep(|| -> Back {
            Box::new(move |grad, way| {
                let of_part = back(through(grad.shallow_clone(), &mask), way);
                grad + norm.back(&of_part, way.into)
            })
        });
        x + added
    }

    /// `a (x - mean) / (std + 1e-6) + b` over the last dimension.
    pub fn norm(&self, name: &str, x: &Tensor) -> (Tensor, Norm) {
        let names = ["a_2", "b_2"].map(|parameter| format!("{name}.{parameter}"));
        let [a, b] = names.each_ref().map(|name| self.w.get(name));
        // In three passes: libtorch's `std_mean` takes one number after the other.
        let off = x - x.mean_dim(-1i64, true, None);
        let degrees = (x.size().last().unwrap_or(&2) - 1) as f64;
        let std = (off.square().sum_dim_intlist(-1i64, true, None) / degrees).sqrt();
        let whole = &std + EPSILON;
        let normal = off / &whole;
        let norm = Norm {
            a: a.shallow_clone(),
            normal: normal.shallow_clone(),
            std,
            whole,
            names,
        };
        (a * normal + b, norm)
    }

    /// `W_2 dropout(relu(W_1 x))`
    pub fn feed_forward(
        &self,
        layer: &str,
        x: &Tensor,
    ) -> (Tensor, impl FnOnce(Tensor, &mut Way) -> Tensor + use<>) {
        let (inner, first) = self.named(&format!("{layer}.feed_forward.w_1"), x);
        let share = self.dropout;
        let (inner, _) = dropped(inner.relu(), share);
        let (out, second) = self.named(&format!("{layer}.feed_forward.w_2"), &inner);
        let back = move |grad: Tensor, way: &mut Way| {
            let grad = second.back(&grad, way.into);
            first.back(&through_relu(&inner, &grad, share), way.into)
        };
        (out, back)
    }

    /// One of an attention's linear maps: to queries, keys, values, and from contexts.
    pub fn linear(&self, attention: &str, number: usize, x: &Tensor) -> (Tensor, Linear) {
        self.named(&format!("{attention}.linears.{number}"), x)
    }

    /// The linear map of this name.
    pub fn named(&self, name: &str, x: &Tensor) -> (Tensor, Linear) {
        let names = ["weight", "bias"].map(|parameter| format!("{name}.{parameter}"));
        let [w, bias] = names.each_ref().map(|name| self.w.get(name));
        let map = Linear {
            w: w.shallow_clone(),
            x: x.shallow_clone(),
            names: names.clone(),
        };
        (linear(x, w, Some(bias)), map)
    }

    /// By heads: (n, m, D) -> (n, h, m, d).
    pub fn heads(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let split = x.view([size[0], size[1], self.heads, -1]);
        split.transpose(1, 2).contiguous()
    }

    /// Attention of queries (n, h, m, d) to keys and values (n, h, k, d). `mask` (m, k) is added
    /// before the softmax.
    pub fn attend(
        &self,
        query: &Tensor,
        [key, value]: [&Tensor; 2],
        mask: Option<&Tensor>,
    ) -> Attended {
        let scale = 1.0 / (query.size()[3] as f64).sqrt();
        let query = query * scale;
        let scores = query.matmul(&key.transpose(-2, -1)); // (n, h, m, k)
        let scores = match mask {
            Some(mask) => scores + mask,
            None => scores,
        };
        let weights = scores.softmax(-1, None);
        let (dropped, mask) = dropped(weights.shallow_clone(), self.dropout);
        Attended {
            context: merged(&dropped.matmul(value)),
            weights,
            dropped,
            mask,
            query,
            scale,
            key: key.shallow_clone(),
            value: value.shallow_clone(),
        }
    }
}

/// A linear map, after it was applied.
pub(super) struct Linear {
    w: Tensor,
    x: Tensor,
    /// Of weight and bias.
    names: [String; 2],
}

impl Linear {
    /// The gradient of x, from that of the result; writes the parameters'.
    pub fn back(&self, grad: &Tensor, into: &Gradients) -> Tensor {
        self.write(grad, into);
        product(&grad.flatten(0, -2), &self.w).view_as(&self.x)
    }

    /// Writes the parameters' gradients.
    pub fn write(&self, grad: &Tensor, into: &Gradients) {
        let [weight, bias] = self.names.each_ref().map(|name| into.view(name));
        let rows = grad.flatten(0, -2);
        into.product(weight, &rows, &self.x.flatten(0, -2));
        into.add_rows(bias, &rows);
    }
}

/// The gradient of what some maps were applied to, from those of their results.
pub(super) fn sum_back(
    maps: impl IntoIterator<Item = Linear>,
    grads: impl IntoIterator<Item = Tensor>,
    into: &Gradients,
) -> Tensor {
    let each = maps.into_iter().zip(grads);
    let each = each.map(|(map, grad)| map.back(&grad, into));
    each.reduce(|sum, grad| sum + grad).unwrap_or_default()
}

/// A layer's norm, after it was applied.
pub(super) struct Norm {
    a: Tensor,
    /// `(x - mean) / (std + 1e-6)`
    normal: Tensor,
    std: Tensor,
    /// `std + 1e-6`
    whole: Tensor,
    /// Of a and b.
    names: [String; 2],
}

impl Norm {
    /// The gradient of x, from that of the result; writes the parameters'.
    pub fn back(&self, grad: &Tensor, into: &Gradients) -> Tensor {
        let [a, b] = self.names.each_ref().map(|name| into.view(name));
        let rows = |all: Tensor| all.flatten(0, -2);
        into.add_rows(a, &rows(grad * &self.normal));
        into.add_rows(b, &rows(grad.shallow_clone()));
        let grad = grad * &self.a;
        let along = (&grad * &self.normal).sum_dim_intlist(-1i64, true, None);
        // Where all numbers are equal, `normal` is 0.
        let degrees = (self.normal.size().last().unwrap_or(&2) - 1) as f64;
        let slope =
            along * &self.whole / (self.std.clamp_min(f64::from(f32::MIN_POSITIVE)) * degrees);
        let mean = grad.mean_dim(-1i64, true, None);
        (grad - mean - &self.normal * slope) / &self.whole
    }
}

/// An attention, after it was computed.
pub(super) struct Attended {
    /// (n, m, D)
    pub context: Tensor,
    /// (n, h, m, k)
    pub weights: Tensor,
    /// After dropout.
    dropped: Tensor,
    mask: Option<Tensor>,
    /// Times the scale.
    query: Tensor,
    scale: f64,
    key: Tensor,
    value: Tensor,
}

impl Attended {
    /// The gradients of queries, keys and values, by heads, from those of the contexts (n, m, D)
    /// and of the weights (n, 1 or h, m, k).
    pub fn back(self, context: &Tensor, weights: Option<Tensor>) -> [Tensor; 3] {
        let size = self.weights.size();
        let by_heads = context.view([size[0], size[2], size[1], -1]);
        let context = by_heads.transpose(1, 2).contiguous(); // (n, h, m, d)
        let grad_value = self.dropped.transpose(-2, -1).matmul(&context);
        let grad = through(context.matmul(&self.value.transpose(-2, -1)), &self.mask);
        let grad = match weights {
            Some(weights) => grad + weights,
            None => grad,
        };
        let kind = self.weights.kind();
        let grad = Tensor::internal_softmax_backward_data(&grad, &self.weights, -1, kind);
        let grad_query = grad.matmul(&self.key) * self.scale;
        let grad_key = grad.transpose(-2, -1).matmul(&self.query);
        [grad_query, grad_key, grad_value]
    }
}

/// The heads side by side: (n, h, m, d) -> (n, m, D).
pub(super) fn merged(heads: &Tensor) -> Tensor {
    heads.transpose(1, 2).flatten(2, 3)
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
