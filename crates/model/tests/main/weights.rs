//! Files of weights, as PyTorch and safetensors write them.

use crate::rebuilt::{fixture, resnet_weights, uniform};
use attend_model::weights::{self, StateDict};
use attend_model::{Arch, Encoder, EncoderConfig, LastStage, StrideIn};
use std::path::Path;
use tch::{Device, Kind, Tensor, nn};

/// What `fixtures/weights.py` wrote: half and double floats come back as f32.
fn written() -> StateDict {
    let base = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4]) / 8.0 - 0.5;
    let first = base.narrow(0, 0, 2);
    let tensors = [
        ("f32", base.copy()),
        ("f16", &first * 3.0),
        ("bf16", first.copy()),
        ("f64", base.get(0) * 2.0),
        ("i64", Tensor::from_slice(&[1i64, -2, 3])),
        ("scalar", Tensor::from(2.5f32)),
        ("transposed", base.tr().contiguous()),
        ("slice", base.narrow(0, 1, 2).select(1, 2).contiguous()),
    ];
    tensors
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .into()
}

#[track_caller]
fn assert_same(read: &StateDict, expected: &StateDict) {
    assert!(read.keys().eq(expected.keys()), "{:?}", read.keys());
    for (name, tensor) in expected {
        assert_eq!(read[name].kind(), tensor.kind(), "{name}");
        assert_eq!(&read[name], tensor, "{name}");
    }
}

#[test]
fn reads_what_pytorch_writes() {
    for name in ["plain.pth", "wrapped.pth", "training.pth", "legacy.pth"] {
        eprintln!("{name}");
        assert_same(&weights::read(&fixture(name)).unwrap(), &written());
    }
}

#[test]
fn reads_the_state_dict_of_a_whole_module() {
    let read = weights::read(&fixture("module.pth")).unwrap();
    let shapes: [(&str, &[i64]); 2] = [("weight", &[3, 2]), ("bias", &[3])];
    let expected = shapes.map(|(name, shape)| (name.to_owned(), uniform(name, shape, -1.0, 1.0)));
    assert_same(&read, &expected.into());
}

#[test]
fn reads_and_writes_safetensors() {
    let mut expected = written();
    expected.retain(|name, _| name != "transposed" && name != "slice");
    assert_same(
        &weights::read(&fixture("plain.safetensors")).unwrap(),
        &expected,
    );
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    weights::write(&first, &written()).unwrap();
    let read = weights::read(&first).unwrap();
    assert_same(&read, &written());
    weights::write(&second, &read).unwrap();
    assert_eq!(
        std::fs::read(first).unwrap(),
        std::fs::read(second).unwrap()
    );
}

/// The one line that says why a file can't be read.
fn refusal(path: &Path) -> String {
    let message = weights::read(path).unwrap_err().to_string();
    eprintln!("{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn what_is_no_state_dict_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.pth");
    std::fs::write(&text, "These are not the weights.\n").unwrap();
    for path in [text, fixture("no-tensors.pth")] {
        let message = refusal(&path);
        assert!(
            message.contains("torch.save(model.state_dict(), FILE)"),
            "{message}"
        );
    }
    refusal(&folder.path().join("absent.pth"));
    refusal(folder.path());
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plain.pth", "legacy.pth", "plain.safetensors"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        for cut in [0, 1, 8, 9, 20, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            refusal(&path);
        }
    }
    let path = folder.path().join("plain.safetensors"); // cut by its last byte
    assert!(refusal(&path).contains("download the file again"));
    // A number changed in a zip file: its checksum tells.
    let mut bytes = std::fs::read(fixture("plain.pth")).unwrap();
    let number = (-0.375f32).to_le_bytes(); // the second one
    let place = bytes
        .windows(4)
        .position(|window| window == number)
        .unwrap();
    bytes[place] ^= 1;
    let path = folder.path().join("flipped.pth");
    std::fs::write(&path, bytes).unwrap();
    assert!(refusal(&path).contains("damaged"));
}

/// `hostile.pth` would make a folder `executed` if it were unpickled.
#[test]
fn pickle_is_not_executed() {
    match weights::read(&fixture("hostile.pth")) {
        Ok(dict) => assert!(dict.keys().eq(["weight"]), "{:?}", dict.keys()),
        Err(error) => assert!(error.to_string().contains("hostile.pth"), "{error}"),
    }
    assert!(!Path::new("executed").exists());
}

fn encoder(arch: Arch, last_stage: LastStage) -> (nn::VarStore, Encoder) {
    let vars = nn::VarStore::new(Device::Cpu);
    let config = EncoderConfig {
        arch,
        last_stage,
        stride_in: StrideIn::Conv3x3,
    };
    let encoder = Encoder::new(&vars.root(), &config);
    (vars, encoder)
}

/// torchvision's state dict of a whole network, classifier and counters too.
fn whole(arch: Arch) -> StateDict {
    let mut dict = resnet_weights(&encoder(arch, LastStage::Layer4).0);
    dict.insert(
        "fc.weight".into(),
        uniform("fc.weight", &[1000, 512], -0.1, 0.1),
    );
    dict.insert("fc.bias".into(), uniform("fc.bias", &[1000], -0.1, 0.1));
    dict.insert("bn1.num_batches_tracked".into(), Tensor::from(7i64));
    dict
}

#[test]
fn an_encoder_takes_what_it_needs() {
    let dict = whole(Arch::Resnet18);
    let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer2);
    encoder.load(&vars, &dict).unwrap();
    for (name, variable) in vars.variables() {
        assert_eq!(variable, dict[&name], "{name}");
    }
}

/// Why an encoder refuses weights; it keeps its own then.
fn mismatch(arch: Arch, dict: &StateDict) -> String {
    let (vars, encoder) = encoder(arch, LastStage::Layer4);
    let before = vars.variables()["conv1.weight"].copy();
    let message = encoder.load(&vars, dict).unwrap_err().to_string();
    eprintln!("{message}");
    assert_eq!(message.lines().count(), 1);
    assert_eq!(vars.variables()["conv1.weight"], before);
    message
}

#[test]
fn another_architecture_is_refused_and_its_tensors_named() {
    // ResNet-34 has 8 blocks more, each of 2 convolutions and 2 BatchNorms of 4.
    let dict = whole(Arch::Resnet18);
    let message = mismatch(Arch::Resnet34, &dict);
    assert!(message.contains("Resnet34"), "{message}");
    assert!(
        message.contains("80 missing (layer1.2.bn1.bias, "),
        "{message}"
    );
    assert!(
        !message.contains("superfluous") && !message.contains("misshapen"),
        "{message}"
    );
    let message = mismatch(Arch::Resnet18, &whole(Arch::Resnet34));
    assert!(
        message.contains("80 superfluous (layer1.2.bn1.bias, "),
        "{message}"
    );
    let message = mismatch(Arch::Resnet50, &dict);
    let part = "layer1.0.conv1.weight [64, 64, 3, 3] instead of [64, 64, 1, 1]";
    assert!(message.contains(part), "{message}");
}
