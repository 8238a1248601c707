//! The encoder against torchvision's ResNets.

use crate::rebuilt::{
    ARCHS, assert_close, assert_sample, difference, expected, hidden, resnet_weights, sample,
    uniform,
};
use attend_artifact::model::Parameters;
use attend_model::encoder::{ResNet, normalised};
use attend_model::{
    Arch, DecoderConfig, Encoder, LastStage, ResNetConfig, StrideIn, decoder, weights,
};
use tch::{Device, Kind, Tensor, nn};

/// Weights whose gradients are compared.
const FREED: [&str; 4] = [
    "layer2.0.conv1.weight",
    "layer3.1.bn2.weight",
    "layer4.0.downsample.0.weight",
    "layer4.1.conv2.weight",
];

fn images() -> Tensor {
    uniform("images", &[2, 3, 64, 64], -2.0, 2.0)
}

/// An encoder with rebuilt weights; every name must fit (no name `may_be_left`).
fn encoder(arch: Arch, last_stage: LastStage, stride_in: StrideIn) -> (nn::VarStore, ResNet) {
    let vars = nn::VarStore::new(Device::Cpu);
    let config = ResNetConfig {
        arch,
        last_stage,
        stride_in,
    };
    let encoder = ResNet::new(&vars.root(), &config);
    weights::assign(&vars, &resnet_weights(&vars), &|_| false).unwrap();
    (vars, encoder)
}

/// The name that a value has in a config.
fn name(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

fn agrees_with_torchvision(arch: Arch, stride_in: StrideIn) {
    let key = format!("{}.{}", name(arch), name(stride_in));
    let expected = expected("encoder");
    let (_, layer3) = encoder(arch, LastStage::Layer3, stride_in);
    let map = layer3.forward(&images(), false);
    assert_eq!(map.size(), [2, layer3.channels(), 4, 4]);
    assert_eq!(layer3.grid([64, 64]), [4, 4]);
    let what = format!("{key}.layer3");
    assert_sample(&what, &map, 13, &expected[&what]);

    let (_, layer4) = encoder(arch, LastStage::Layer4, stride_in);
    let map = layer4.forward(&images(), false);
    assert_eq!(map.size(), [2, layer4.channels(), 2, 2]);
    let what = format!("{key}.layer4");
    assert_sample(&what, &map, 5, &expected[&what]);
    let frozen = layer4.folded().forward(&images(), false);
    assert_close(&format!("{key} folded"), &frozen, &map);

    // In f32, a ReLU's input near zero may have the other sign, which changes some
    // gradients by a thousandth; so the equations are checked in f64.
    for (kind, tolerance) in [(Kind::Double, 1e-4), (Kind::Float, 1e-2)] {
        let (mut vars, encoder) = encoder(arch, LastStage::Layer4, stride_in);
        if kind == Kind::Double {
            vars.double();
        }
        let map = encoder.forward(&images().to_kind(kind), false);
        let cotangent = uniform("cotangent", &map.size(), -1.0, 1.0);
        (map * cotangent).mean(kind).backward();
        let variables = vars.variables();
        for name in FREED {
            let gradient = variables[name].grad().to_kind(Kind::Float);
            let what = format!("{key}.grad.{name}");
            let step = (gradient.numel() as i64 / 499).max(1);
            let difference = difference(&sample(&gradient, step), &expected[&what]);
            eprintln!("{what} in {kind:?}: {difference:.1e}");
            assert!(
                difference <= tolerance,
                "{what} in {kind:?}: {difference:e} apart"
            );
        }
    }
}

#[test]
fn resnet18_agrees_with_torchvision() {
    agrees_with_torchvision(Arch::Resnet18, StrideIn::Conv3x3);
}

#[test]
fn resnet34_agrees_with_torchvision() {
    agrees_with_torchvision(Arch::Resnet34, StrideIn::Conv3x3);
}

#[test]
fn resnet50_agrees_with_torchvision() {
    agrees_with_torchvision(Arch::Resnet50, StrideIn::Conv3x3);
    agrees_with_torchvision(Arch::Resnet50, StrideIn::Conv1x1);
}

#[test]
fn resnet101_agrees_with_torchvision() {
    agrees_with_torchvision(Arch::Resnet101, StrideIn::Conv3x3);
    agrees_with_torchvision(Arch::Resnet101, StrideIn::Conv1x1);
}

#[test]
fn resnet152_agrees_with_torchvision() {
    agrees_with_torchvision(Arch::Resnet152, StrideIn::Conv3x3);
}

#[test]
fn batch_norm_in_training_agrees_with_torchvision() {
    let expected = expected("encoder");
    let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer4, StrideIn::Conv3x3);
    let before = running(&vars);
    let _ = encoder.forward(&images(), false);
    assert_eq!(running(&vars), before, "evaluation moved the statistics");
    let map = encoder.forward(&images(), true);
    assert_close(
        "train.layer4",
        &map.flatten(0, -1),
        &expected["train.layer4"],
    );
    assert_close("train.running", &running(&vars), &expected["train.running"]);
}

/// All running statistics in the order of torchvision's state dict.
fn running(vars: &nn::VarStore) -> Tensor {
    let variables = vars.variables();
    let mut norms = vec!["bn1".to_owned()];
    for layer in 1..=4 {
        for block in 0..2 {
            let block_path = format!("layer{layer}.{block}");
            norms.push(format!("{block_path}.bn1"));
            norms.push(format!("{block_path}.bn2"));
            if layer > 1 && block == 0 {
                norms.push(format!("{block_path}.downsample.1"));
            }
        }
    }
    let statistics = norms.iter().flat_map(|norm| {
        ["running_mean", "running_var"].map(|what| variables[&format!("{norm}.{what}")].copy())
    });
    Tensor::cat(&statistics.collect::<Vec<_>>(), 0)
}

#[test]
fn pixels_are_normalised_as_torchvision_does() {
    // (x / 255 - mean) / std by hand, for x = 0, 51, 255 in the three channels.
    let pixels = Tensor::from_slice(&[0u8, 51, 255]).view([1, 3, 1, 1]);
    let normalised: Vec<f32> = Vec::try_from(normalised(&pixels).flatten(0, -1)).unwrap();
    for (is, by_hand) in normalised.iter().zip([-2.117904, -1.142857, 2.64]) {
        assert!((is - by_hand).abs() < 1e-5, "{is} instead of {by_hand}");
    }
}

#[test]
fn cells_stand_row_by_row() {
    let (_, encoder) = encoder(Arch::Resnet18, LastStage::Layer2, StrideIn::Conv3x3);
    let pixels = uniform("pixels", &[2, 3, 32, 48], 0.0, 256.0).to_kind(Kind::Uint8);
    let seen = tch::no_grad(|| encoder.encode(&pixels, false, Kind::Float));
    assert_eq!((seen.cells.size(), seen.grid), (vec![2, 24, 128], [4, 6]));
    let map = tch::no_grad(|| encoder.forward(&normalised(&pixels), false));
    // Cell 6 is the first of the second row.
    let first = map.select(2, 1).select(2, 0);
    assert_close("cell 6", &seen.cells.select(1, 6), &first);
}

/// The verifier of artifacts knows the names and shapes without libtorch.
#[test]
fn weights_have_the_names_and_shapes_that_verify_looks_for() {
    let of = |vars: &nn::VarStore| -> Parameters {
        let variables = vars.variables().into_iter();
        variables
            .map(|(name, tensor)| (name, tensor.size()))
            .collect()
    };
    let (last_stages, archs) = (
        [LastStage::Layer1, LastStage::Layer2, LastStage::Layer4],
        [
            Arch::Resnet18,
            Arch::Resnet34,
            Arch::Resnet50,
            Arch::Resnet152,
        ],
    );
    for last_stage in last_stages {
        for arch in archs {
            let config = ResNetConfig {
                arch,
                last_stage,
                stride_in: StrideIn::Conv3x3,
            };
            let vars = nn::VarStore::new(Device::Cpu);
            ResNet::new(&vars.root(), &config);
            assert_eq!(config.parameters(), of(&vars), "{config:?}");
        }
    }
    for arch in ARCHS {
        let config = DecoderConfig {
            arch,
            vocabulary: 9,
            channels: 8,
            embedding: 4,
            attention: 5,
            hidden: hidden(arch, 6),
            dropout: 0.5,
            grid: [14, 14],
        };
        let vars = nn::VarStore::new(Device::Cpu);
        decoder::new(&vars.root(), &config);
        assert_eq!(config.parameters(), of(&vars));
    }
}
