//! Training in f16: checkpoints keep the loss scale, and a step that overflows changes no
//! weight.
#![allow(clippy::unwrap_used)]

use attend_artifact::model::{DecoderArch, DecoderConfig, EncoderConfig, ModelCard};
use attend_model::{CrossEntropy, Reading};
use attend_train::config::{Config, Precision};
use attend_train::data::Batch;
use attend_train::network::Network;
use tch::{Device, Kind, Tensor};

const CHANNELS: i64 = 8;

fn network() -> Network {
    let mut config = Config::default();
    config.train.precision = Precision::F16;
    let card = ModelCard {
        encoder: EncoderConfig::ResNet(config.encoder.config.clone()),
        decoder: DecoderConfig {
            arch: DecoderArch::default(),
            vocabulary: 12,
            channels: CHANNELS,
            embedding: 6,
            attention: 6,
            hidden: 6,
            dropout: 0.0,
            grid: [0, 0],
        },
        image_size: [64, 64],
        vocabulary_blake3: String::new(),
        encoder_blake3: String::new(),
    };
    Network::on_features(card, &config, [2, 2], None, Device::Cpu)
}

/// A multiple of the loss whose gradients are infinite in f16 at the initial scale.
const LARGE: f64 = 1e6;

/// Two images with one caption each.
fn batch() -> Batch {
    let features = Tensor::arange(2 * 4 * CHANNELS, (Kind::Float, Device::Cpu)).sin();
    Batch {
        images: features.view([2, 4, CHANNELS]).to_kind(Kind::Half),
        image_of_caption: vec![1, 0],
        tokens: Tensor::from_slice(&[10i64, 1, 2, 3, 11, 10, 4, 5, 11, 0]).view([2, 5]),
        lengths: vec![5, 4],
    }
}

/// Tries a step along the gradient of `multiple` times the loss; returns whether it was
/// taken.
fn step(network: &mut Network, multiple: f64) -> bool {
    let outcome = network
        .read(
            &batch(),
            &CrossEntropy::default(),
            (multiple, Reading::default()),
            false,
        )
        .unwrap();
    assert!(outcome.total.is_finite());
    network.step(1e-2, 0.0, 0.0, 5.0)
}

fn weights(network: &Network) -> Vec<Tensor> {
    let weights = network.decoder_weights();
    weights.values().map(Tensor::copy).collect()
}

#[test]
fn an_overflow_halves_the_scale_and_harms_nothing() {
    let mut network = network();
    assert!(step(&mut network, 1.0));
    let state = network.optimizer();
    let scale = |network: &Network| network.optimizer()["loss_scale"].int64_value(&[0]);
    let (before, exponent) = (weights(&network), scale(&network));
    assert!(!step(&mut network, LARGE));
    assert_eq!(scale(&network), exponent - 1);
    assert_eq!(weights(&network), before);
    assert_eq!(network.optimizer()["decoder.steps"], state["decoder.steps"]);
    // With a small enough scale, the same step is taken.
    let taken = (0..30).position(|_| step(&mut network, LARGE));
    assert!(taken.is_some());
    assert_ne!(weights(&network), before);
    assert!(network.is_finite());
}

#[test]
fn a_saved_scale_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = network();
    assert!(!step(&mut first, LARGE));
    assert!(step(&mut first, 1.0));
    let write = |name: &str, dict| {
        let path = folder.path().join(name);
        attend_model::weights::write(&path, &dict).unwrap();
    };
    write("decoder.safetensors", first.decoder_weights());
    write("optimizer.safetensors", first.optimizer());
    let mut second = network();
    second.restore(folder.path()).unwrap();
    assert_eq!(second.optimizer(), first.optimizer());
    for network in [&mut first, &mut second] {
        assert!(step(network, 1.0));
    }
    assert_eq!(weights(&second), weights(&first));
    // A run in f32 has no scale, so f16 can't resume from it.
    let mut without = first.optimizer();
    without.remove("loss_scale");
    write("optimizer.safetensors", without);
    assert!(network().restore(folder.path()).is_err());
}
