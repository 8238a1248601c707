//! Weights of ResNets under the names of timm, Hugging Face's transformers and of training
//! scripts, in files that these wrote (`fixtures/names.py`): the features are those of
//! torchvision's network.

use crate::rebuilt::{assert_sample, expected, fixture, uniform};
use attend_model::encoder::ResNet;
use attend_model::weights::{self, StateDict};
use attend_model::{Arch, Encoder, LastStage, ResNetConfig, StrideIn};
use tch::{Device, nn};

const NETWORKS: [(&str, Arch, LastStage); 2] = [
    ("resnet18", Arch::Resnet18, LastStage::Layer2),
    ("resnet50", Arch::Resnet50, LastStage::Layer1),
];

fn encoder(arch: Arch, last_stage: LastStage) -> (nn::VarStore, ResNet) {
    let vars = nn::VarStore::new(Device::Cpu);
    let config = ResNetConfig {
        arch,
        last_stage,
        stride_in: StrideIn::Conv3x3,
    };
    let encoder = ResNet::new(&vars.root(), &config);
    (vars, encoder)
}

#[test]
fn weights_are_taken_under_the_names_of_other_libraries() {
    let expected = expected("names");
    let images = uniform("images", &[2, 3, 64, 64], -2.0, 2.0);
    for (name, arch, last_stage) in NETWORKS {
        for source in ["timm", "transformers", "parallel", "sequence"] {
            let file = format!("{name}-{source}.pth");
            let (vars, encoder) = encoder(arch, last_stage);
            let dict = weights::read(&fixture(&file)).unwrap();
            encoder.load(&vars, &dict).unwrap();
            let map = encoder.forward(&images, false);
            assert_sample(&file, &map, 13, &expected[name]);
        }
    }
}

#[test]
fn a_tensor_that_is_missing_is_named_as_torchvision_calls_it() {
    let mut dict = weights::read(&fixture("resnet18-transformers.pth")).unwrap();
    let name = "resnet.encoder.stages.1.layers.0.shortcut.normalization.running_var";
    assert!(dict.remove(name).is_some());
    let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer2);
    let message = encoder.load(&vars, &dict).unwrap_err().to_string();
    let part = "1 missing (layer2.0.downsample.1.running_var)";
    assert!(message.contains(part), "{message}");
}

#[test]
fn another_network_of_transformers_keeps_its_names() {
    let name = "encoder.stages.0.layers.0.dwconv.weight";
    let dict: StateDict = [(name.to_owned(), tch::Tensor::from(1f32))].into();
    let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer1);
    let message = encoder.load(&vars, &dict).unwrap_err().to_string();
    assert!(
        message.contains(&format!("the file has {name}")),
        "{message}"
    );
}
