//! Numbers that both sides rebuild from a tensor's name (`fixtures/rebuilt.py`),
//! and how results are compared.

use attend_model::weights::{self, StateDict};
use attend_model::{DecoderArch, TransformerConfig};
use std::path::PathBuf;
use tch::{Kind, Tensor, nn};

/// A decoder of each architecture.
pub const ARCHS: [DecoderArch; 4] = [
    DecoderArch::AttentionLstm,
    DecoderArch::Att2in,
    DecoderArch::UpDown,
    DecoderArch::Transformer(TransformerConfig {
        heads: 3,
        feed_forward: 11,
        encoder_layers: 1,
        decoder_layers: 2,
        dropout: 0.3,
    }),
];

/// Width of a test's decoder: `lstm`, or a multiple of a transformer's heads and of 4.
pub fn hidden(arch: DecoderArch, lstm: i64) -> i64 {
    match arch {
        DecoderArch::Transformer(_) => 12,
        _ => lstm,
    }
}

/// A file of this package's fixtures.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Expected numbers.
pub fn expected(name: &str) -> StateDict {
    weights::read(&fixture(&format!("{name}.safetensors"))).unwrap()
}

fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn split_mix(counter: u64) -> u64 {
    let z = (counter ^ (counter >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// f32 numbers in [low, high) that depend on a name.
pub fn uniform(name: &str, shape: &[i64], low: f64, high: f64) -> Tensor {
    let seed = fnv1a(name);
    let numbers: Vec<f32> = (1..=shape.iter().product::<i64>() as u64)
        .map(|index| {
            let z = split_mix(seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            (low + (high - low) * ((z >> 40) as f64 / (1u64 << 24) as f64)) as f32
        })
        .collect();
    Tensor::from_slice(&numbers).view(shape)
}

/// Weights of a ResNet.
pub fn resnet_weights(vars: &nn::VarStore) -> StateDict {
    let rebuild = |(name, variable): (String, Tensor)| {
        let shape = variable.size();
        let (low, high) = if name.ends_with("running_var") {
            (0.5, 1.5)
        } else if shape.len() == 4 {
            let bound = (3.0 / shape[1..].iter().product::<i64>() as f64).sqrt();
            (-bound, bound)
        } else if name.ends_with("weight") {
            (0.8, 1.2)
        } else {
            (-0.1, 0.1)
        };
        let values = uniform(&name, &shape, low, high);
        (name, values)
    };
    vars.variables().into_iter().map(rebuild).collect()
}

/// Weights of a decoder, all in [-scale, scale).
pub fn decoder_weights(vars: &nn::VarStore, scale: f64) -> StateDict {
    let rebuild = |(name, variable): (String, Tensor)| {
        let values = uniform(&name, &variable.size(), -scale, scale);
        (name, values)
    };
    vars.variables().into_iter().map(rebuild).collect()
}

/// Largest difference, relative to the largest expected magnitude.
pub fn difference(is: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(is.size(), expected.size());
    let largest = expected.abs().max().double_value(&[]);
    assert!(largest > 0.0, "nothing is expected but zeros");
    (is - expected).abs().max().double_value(&[]) / largest
}

/// Asserts the project's promise: a relative difference of at most 1e-4.
#[track_caller]
pub fn assert_close(what: &str, is: &Tensor, expected: &Tensor) {
    let difference = difference(is, expected);
    eprintln!("{what}: {difference:.1e}");
    assert!(difference <= 1e-4, "{what}: {difference:e} apart"); // NaN fails too
}

/// A sample of a tensor: its largest magnitude, then every `step`-th number.
pub fn sample(tensor: &Tensor, step: i64) -> Tensor {
    let flat = tensor.detach().flatten(0, -1);
    let largest = flat.abs().max().unsqueeze(0);
    Tensor::cat(&[largest, flat.slice(0, 0, flat.size()[0], step)], 0)
}

/// Compares with a sample.
#[track_caller]
pub fn assert_sample(what: &str, is: &Tensor, step: i64, expected: &Tensor) {
    assert_close(what, &sample(is, step), expected);
}

/// Feature maps (B, C, h, w) as cells (B, h * w, C), row by row.
pub fn cells(maps: &Tensor) -> Tensor {
    maps.flatten(2, 3).transpose(1, 2)
}

/// i64 numbers as a tensor.
pub fn integers(numbers: &[i64]) -> Tensor {
    Tensor::from_slice(numbers).to_kind(Kind::Int64)
}

#[test]
fn rebuilds_known_numbers() {
    // FNV-1a's and SplitMix64's published values.
    assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    assert_eq!(split_mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
}
