//! The loops of attention on the CPU, for vector instructions.

use multiversion::multiversion;
use std::f32::consts::{LN_2, LOG2_E};

/// Number of partial sums in parallel, which determines the order of summation.
const LANES: usize = 32;

/// What a key and a query make together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::decoder) enum Activation {
    /// Xu et al.'s code and the tutorial.
    Relu,
    /// Bahdanau et al.
    Tanh,
}

/// An [`Activation`], as the loops need it.
trait Act {
    /// Its value.
    fn of(sum: f32) -> f32;

    /// `gradient` times its slope where it has this value.
    fn back(value: f32, gradient: f32) -> f32;
}

struct Relu;
struct Tanh;

impl Act for Relu {
    #[inline(always)]
    fn of(sum: f32) -> f32 {
        sum.max(0.0)
    }

    #[inline(always)]
    fn back(value: f32, gradient: f32) -> f32 {
        if value > 0.0 { gradient } else { 0.0 }
    }
}

impl Act for Tanh {
    /// At most 3e-7 off. NaN stays NaN.
    #[inline(always)]
    fn of(sum: f32) -> f32 {
        // e^2x = 2^n e^f, with |f| <= ln 2 / 2.
        let power = sum * (2.0 * LOG2_E);
        let power = if power > 30.0 { 30.0 } else { power };
        let power = if power < -30.0 { -30.0 } else { power };
        // Its last bits are n: there, numbers are as far apart as integers.
        let shifted = power + ROUND;
        let f = (power - (shifted - ROUND)) * LN_2;
        let series = 1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0)));
        let exp_f = 1.0 + f * (1.0 + f * (0.5 + f * series));
        let two_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
        1.0 - 2.0 / (exp_f * two_n + 1.0)
    }

    #[inline(always)]
    fn back(value: f32, gradient: f32) -> f32 {
        gradient * (1.0 - value * value)
    }
}

/// 1.5 * 2^23
const ROUND: f32 = 12_582_912.0;

/// Scores of all cells of an image for some queries, one row for each.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
pub(super) fn score(
    activation: Activation,
    keys: &[f32],
    queries: &[f32],
    w: &[f32],
    scores: &mut [f32],
) {
    match activation {
        Activation::Relu => score_of::<Relu>(keys, queries, w, scores),
        Activation::Tanh => score_of::<Tanh>(keys, queries, w, scores),
    }
}

#[inline(always)]
fn score_of<A: Act>(keys: &[f32], queries: &[f32], w: &[f32], scores: &mut [f32]) {
    let width = w.len();
    let cells = keys.len() / width;
    for (n, key) in keys.chunks_exact(width).enumerate() {
        for (query, scores) in (queries.chunks_exact(width)).zip(scores.chunks_exact_mut(cells)) {
            let mut sums = [0.0; LANES];
            let mut rest = 0.0;
            let tail = width / LANES * LANES;
            for ((k, q), w) in (key.chunks_exact(LANES))
                .zip(query.chunks_exact(LANES))
                .zip(w.chunks_exact(LANES))
            {
                for lane in 0..LANES {
                    sums[lane] += A::of(k[lane] + q[lane]) * w[lane];
                }
            }
            for ((k, q), w) in key[tail..].iter().zip(&query[tail..]).zip(&w[tail..]) {
                rest += A::of(k + q) * w;
            }
            scores[n] = sums.iter().sum::<f32>() + rest;
        }
    }
}

/// Adds to the gradients of `query`, `keys` and `w`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
pub(super) fn score_back(
    activation: Activation,
    keys: &[f32],
    query: &[f32],
    w: &[f32],
    scores: &[f32],
    gradients: (&mut [f32], &mut [f32], &mut [f32]),
) {
    match activation {
        Activation::Relu => score_back_of::<Relu>(keys, query, w, scores, gradients),
        Activation::Tanh => score_back_of::<Tanh>(keys, query, w, scores, gradients),
    }
}

#[inline(always)]
fn score_back_of<A: Act>(
    keys: &[f32],
    query: &[f32],
    w: &[f32],
    scores: &[f32],
    (grad_query, grad_keys, grad_w): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let width = query.len();
    for ((key, grad_key), score) in (keys.chunks_exact(width))
        .zip(grad_keys.chunks_exact_mut(width))
        .zip(scores)
    {
        let (grad_query, grad_w) = (&mut grad_query[..width], &mut grad_w[..width]);
        let (key, grad_key, w) = (&key[..width], &mut grad_key[..width], &w[..width]);
        for a in 0..width {
            let seen = A::of(key[a] + query[a]);
            let passed = A::back(seen, score * w[a]);
            grad_query[a] += passed;
            grad_key[a] += passed;
            grad_w[a] += seen * score;
        }
    }
}

/// `out = sum_i weights_i cells_i` for some rows: weights (r, p), out (r, C).
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
pub(super) fn sum(features: &[f32], weights: &[f32], cells: usize, out: &mut [f32]) {
    out.fill(0.0);
    let width = features.len() / cells;
    // Four cells at a time, so that `out` is read and written a quarter as often.
    for (n, four) in features.chunks(4 * width).enumerate() {
        for (out, weights) in out.chunks_exact_mut(width).zip(weights.chunks_exact(cells)) {
            let w = &weights[4 * n..];
            if four.len() < 4 * width {
                for (cell, w) in four.chunks_exact(width).zip(w) {
                    for (out, number) in out.iter_mut().zip(cell) {
                        *out += w * number;
                    }
                }
                continue;
            }
            let (a, rest) = four.split_at(width);
            let (b, rest) = rest.split_at(width);
            let (c, d) = rest.split_at(width);
            for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *out += w[0] * a + w[1] * b + (w[2] * c + w[3] * d);
            }
        }
    }
}

/// `out_i = cells_i . vector`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
pub(super) fn dots(cells: &[f32], vector: &[f32], out: &mut [f32]) {
    for (cell, out) in cells.chunks_exact(vector.len()).zip(out) {
        let mut sums = [0.0; LANES];
        let tail = vector.len() / LANES * LANES;
        for (x, y) in (cell.chunks_exact(LANES)).zip(vector.chunks_exact(LANES)) {
            for lane in 0..LANES {
                sums[lane] += x[lane] * y[lane];
            }
        }
        let rest: f32 = (cell[tail..].iter().zip(&vector[tail..]))
            .map(|(x, y)| x * y)
            .sum();
        *out = sums.iter().sum::<f32>() + rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_tanh() {
        for step in -400_000..=400_000 {
            let x = step as f32 * 5e-5;
            let off = (f64::from(Tanh::of(x)) - f64::from(x).tanh()).abs();
            assert!(off < 3e-7, "{x}: {off}");
        }
        for x in [f32::INFINITY, f32::MAX, 1e4, 44.0] {
            assert_eq!([Tanh::of(x), Tanh::of(-x)], [1.0, -1.0], "{x}");
        }
        assert!(Tanh::of(f32::NAN).is_nan());
    }
}
