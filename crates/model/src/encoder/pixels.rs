//! Pixels as networks take them.

use tch::{Kind, Tensor};

/// Pixels u8 (B, 3, H, W) as f32 from 0 to 1, less each channel's mean, divided by its
/// standard deviation.
pub(super) fn normalise(pixels: &Tensor, mean: &[f64; 3], std: &[f64; 3]) -> Tensor {
    let channel = |values: &[f64; 3]| {
        Tensor::from_slice(&values.map(|x| x as f32))
            .view([1, 3, 1, 1])
            .to_device(pixels.device())
    };
    (pixels.to_kind(Kind::Float) / 255.0 - channel(mean)) / channel(std)
}
