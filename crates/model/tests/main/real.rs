//! Real weights on a real photograph, against torchvision.

use crate::rebuilt::{assert_sample, expected};
use attend_model::encoder::{ResNet, normalised};
use attend_model::{Arch, Encoder, LastStage, ResNetConfig, StrideIn, weights};
use std::path::Path;
use tch::{Device, Tensor, nn};

const SIDE: i64 = 224;

/// The middle of the first photograph, u8 (1, 3, 224, 224).
fn photograph(data: &Path) -> Tensor {
    let bytes =
        std::fs::read(data.join("coco-mini/val2014/COCO_val2014_000000000042.jpg")).unwrap();
    let photograph = attend_image::decode(&bytes, &attend_image::DecodeOptions::default()).unwrap();
    let (height, width) = (i64::from(photograph.height), i64::from(photograph.width));
    Tensor::from_slice(&photograph.rgbx)
        .view([1, height, width, 4])
        .narrow(3, 0, 3)
        .permute([0, 3, 1, 2])
        .narrow(2, (height - SIDE) / 2, SIDE)
        .narrow(3, (width - SIDE) / 2, SIDE)
}

/// `fixtures/encoder.py`'s `real` made the expected sample with torchvision,
/// Pillow and the same crop.
#[test]
#[ignore = "needs ATTEND_DATA"]
fn real_weights_on_a_photograph_agree_with_torchvision() {
    let data = attend_testing::data();
    let expected = expected("real");
    let images = normalised(&photograph(&data));
    let dict = weights::read(&data.join("weights/resnet50-layer3-stride1x1.safetensors")).unwrap();
    for (last_stage, key, step) in [
        (LastStage::Layer3, "layer3", 97),
        (LastStage::Layer2, "layer2", 197),
    ] {
        let vars = nn::VarStore::new(Device::Cpu);
        let config = ResNetConfig {
            arch: Arch::Resnet50,
            last_stage,
            stride_in: StrideIn::Conv1x1,
        };
        let encoder = ResNet::new(&vars.root(), &config);
        encoder.load(&vars, &dict).unwrap();
        let map = encoder.forward(&images, false);
        assert_eq!(map.size()[2..], [SIDE / config.stride(); 2]);
        assert_sample(&format!("real {key}"), &map, step, &expected[key]);
        let folded = encoder.folded().forward(&images, false);
        assert_sample(&format!("real {key} folded"), &folded, step, &expected[key]);
    }
}

#[test]
#[ignore = "needs ATTEND_DATA"]
fn real_weights_are_not_those_of_another_architecture() {
    let data = attend_testing::data();
    let dict = weights::read(&data.join("weights/resnet50-layer3-stride1x1.safetensors")).unwrap();
    let message = |arch, last_stage| {
        let vars = nn::VarStore::new(Device::Cpu);
        let config = ResNetConfig {
            arch,
            last_stage,
            stride_in: StrideIn::Conv3x3,
        };
        let encoder = ResNet::new(&vars.root(), &config);
        encoder.load(&vars, &dict).unwrap_err().to_string()
    };
    // The file has no layer4; ResNet-101's layer3 has 17 more blocks; ResNet-18 has other
    // shapes.
    assert!(message(Arch::Resnet50, LastStage::Layer4).contains("missing (layer4.0"));
    assert!(message(Arch::Resnet101, LastStage::Layer3).contains("missing (layer3.10."));
    assert!(
        message(Arch::Resnet18, LastStage::Layer3).contains("misshapen (layer1.0.conv1.weight")
    );
}
