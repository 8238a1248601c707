//! Dropout, and its way back.

use crate::slices::{is_readable, numbers_mut};
use crate::{parallel, threads};
use multiversion::multiversion;
use tch::{Device, Kind, Tensor};

/// x after dropout of a share of its numbers, and by what it was multiplied.
pub(super) fn dropped(x: Tensor, share: f64) -> (Tensor, Option<Tensor>) {
    if share == 0.0 {
        return (x, None);
    }
    let mask = mask(&x, share);
    (x * &mask, Some(mask))
}

/// The gradient before dropout.
pub(super) fn through(grad: Tensor, mask: &Option<Tensor>) -> Tensor {
    match mask {
        Some(mask) => grad * mask,
        None => grad,
    }
}

/// The gradient before ReLU and dropout of a share, from what they made: what is 0 was dropped
/// or negative.
pub(super) fn through_relu(made: &Tensor, grad: &Tensor, share: f64) -> Tensor {
    made.to_kind(grad.kind()).threshold_backward(grad, 0.0) / (1.0 - share)
}

/// 0 for this share of the numbers, and `1 / (1 - share)` for the others.
fn mask(like: &Tensor, share: f64) -> Tensor {
    let mut mask = Tensor::empty(like.size(), (like.kind(), like.device()));
    let kept = 1.0 - share;
    if !is_readable(like) {
        return mask.bernoulli_float_(kept) / kept;
    }
    // libtorch draws one number after the other, on one thread.
    let seed = Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]);
    let seeds = [seed as u32, (seed >> 32) as u32];
    let part = like.numel().div_ceil(threads()).max(1);
    let parts = numbers_mut(&mut mask).chunks_mut(part).collect();
    parallel(parts, |place, part_of_mask: &mut [f32]| {
        draw(part_of_mask, place * part, seeds, kept);
    });
    mask
}

/// Each number's chance is a hash of its place, the first of which is `first`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn draw(mask: &mut [f32], first: usize, [a, b]: [u32; 2], kept: f64) {
    let below = (kept * 2f64.powi(32)) as u32;
    let value = (1.0 / kept) as f32;
    for (place, number) in (first as u32..).zip(mask) {
        // The constants of MurmurHash3's and Wellons' 32-bit mixers.
        let x = mixed(place ^ a, [16, 13, 16], [0x85eb_ca6b, 0xc2b2_ae35]);
        let x = mixed(x ^ b, [16, 15, 16], [0x7feb_352d, 0x846c_a68b]);
        *number = if x < below { value } else { 0.0 };
    }
}

#[inline(always)]
fn mixed(mut x: u32, [i, j, k]: [u32; 3], [m, n]: [u32; 2]) -> u32 {
    x = (x ^ x >> i).wrapping_mul(m);
    x = (x ^ x >> j).wrapping_mul(n);
    x ^ x >> k
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts lie within five standard deviations of those of independent draws.
    #[test]
    fn each_number_is_dropped_by_its_own_chance() {
        const COUNT: i64 = 1 << 20;
        let like = Tensor::zeros([COUNT], (Kind::Float, Device::Cpu));
        tch::manual_seed(3);
        let masks: Vec<Tensor> = (0..4).map(|_| mask(&like, 0.3)).collect();
        let near = |dropped: &Tensor, chance: f64| {
            let count = dropped.size()[0] as f64;
            let is = dropped.sum(Kind::Double).double_value(&[]);
            let deviation = (count * chance * (1.0 - chance)).sqrt();
            assert!(
                (is - count * chance).abs() < 5.0 * deviation,
                "{is} of {count}"
            );
        };
        let mut zero: Vec<Tensor> = masks.iter().map(|mask| mask.eq(0.0)).collect();
        for mask in &masks {
            let kept = mask.masked_select(&mask.ne(0.0));
            assert_eq!(kept.min(), kept.max());
            assert!((kept.double_value(&[0]) - 1.0 / 0.7).abs() < 1e-6);
        }
        for zero in &zero {
            near(zero, 0.3);
            for apart in [1, 2, 16, 1024] {
                let [one, other] = [0, apart].map(|at| zero.narrow(0, at, COUNT - apart));
                near(&one.logical_and(&other), 0.09);
            }
        }
        let last = zero.split_off(3);
        for other in &zero {
            near(&last[0].logical_and(other), 0.09);
        }
        tch::manual_seed(3);
        assert_eq!(mask(&like, 0.3), masks[0]);
    }
}
