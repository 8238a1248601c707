//! Files of weights, as PyTorch and safetensors write them.

use crate::rebuilt::{fixture, resnet_weights, uniform};
use attend_model::weights::{self, StateDict};
use attend_model::{Arch, Encoder, LastStage, ResNetConfig, StrideIn, encoder as encoders};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use tch::{Device, Kind, Tensor, nn};

/// Files by `fixtures/weights.py`: half and double floats are read as f32.
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
    for name in [
        "plain.pth",
        "wrapped.pth",
        "training.pth",
        "legacy.pth",
        "tar.pth",
    ] {
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

/// The one-line error that says why a file can't be read.
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
}

#[test]
fn what_is_taken_for_weights_is_named_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(folder.path()).contains("a folder"));
    let path = folder.path().join("resnet101.pth");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:9f\nsize 178793939\n";
    for (bytes, named) in [
        (&b""[..], "empty"),
        (b"\n<!DOCTYPE html>\n<html><head>", "a web page"),
        (b"<html lang=en>", "a web page"),
        (
            b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied",
            "a web page",
        ),
        (pointer.as_bytes(), "git lfs pull"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let message = refusal(&path);
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn a_cut_file_of_pytorch_says_that_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plain.pth", "legacy.pth", "wrapped.pth"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        for cut in (64..whole.len()).step_by(37).chain([whole.len() - 1]) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let message = refusal(&path);
            assert!(
                message.contains("copy or download it again"),
                "{cut}: {message}"
            );
        }
    }
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
    // A number changed in a zip file is noticed by its checksum.
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

#[test]
fn bytes_changed_anywhere_are_read_or_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 1u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    for name in [
        "plain.pth",
        "legacy.pth",
        "training.pth",
        "module-legacy.pth",
        "tar.pth",
        "plain.safetensors",
    ] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        for _ in 0..500 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            std::fs::write(&path, bytes).unwrap();
            if let Err(error) = weights::read(&path) {
                let message = error.to_string();
                assert!(message.contains(name), "{message}");
            }
        }
    }
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

fn encoder(arch: Arch, last_stage: LastStage) -> (nn::VarStore, Box<dyn Encoder>) {
    let vars = nn::VarStore::new(Device::Cpu);
    let config = ResNetConfig {
        arch,
        last_stage,
        stride_in: StrideIn::Conv3x3,
    };
    let encoder = encoders::new(&vars.root(), &config);
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

#[test]
fn prefixes_that_training_scripts_leave_are_taken_off() {
    let dict = whole(Arch::Resnet18);
    for prefix in [
        "module.",
        "model.",
        "backbone.",
        "_orig_mod.",
        "encoder.",
        "state_dict.",
        "module.model.",
        "_orig_mod.module.encoder.backbone.",
        "student.",
    ] {
        let named = |(name, tensor): (&String, &Tensor)| (format!("{prefix}{name}"), tensor.copy());
        let mut prefixed: StateDict = dict.iter().map(named).collect();
        // A head, an optimizer's moments, parts of other networks.
        prefixed.insert(
            "head.weight".into(),
            Tensor::ones([2, 2], (Kind::Float, Device::Cpu)),
        );
        prefixed.insert("optimizer.state.0.exp_avg".into(), Tensor::from(f32::NAN));
        prefixed.insert("ema.conv1.weight".into(), Tensor::from(1f32));
        let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer4);
        encoder.load(&vars, &prefixed).unwrap();
        for (name, variable) in vars.variables() {
            assert_eq!(variable, dict[&name], "{prefix}{name}");
        }
    }
    // Two networks of the same kind are ambiguous.
    let two = ["encoder_q.", "encoder_k."].map(|prefix| {
        let named =
            move |(name, tensor): (&String, &Tensor)| (format!("{prefix}{name}"), tensor.copy());
        dict.iter().map(named).collect::<StateDict>()
    });
    let message = mismatch(Arch::Resnet18, &two.into_iter().flatten().collect());
    assert!(
        message.contains("encoder_q. and encoder_k.")
            || message.contains("encoder_k. and encoder_q."),
        "{message}"
    );
    // Names of another library: the message shows them.
    let other = [(
        "resnet.embedder.convolution.weight".to_owned(),
        Tensor::from(1f32),
    )];
    let message = mismatch(Arch::Resnet18, &other.into());
    assert!(
        message.contains("the file has resnet.embedder.convolution.weight"),
        "{message}"
    );
}

#[test]
fn a_superfluous_tensor_of_another_type_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.safetensors");
    let tensors = encoder(Arch::Resnet18, LastStage::Layer1).0.variables();
    let mut data = Vec::new();
    for (name, tensor) in &tensors {
        let numbers: Vec<f32> = tensor.flatten(0, -1).try_into().unwrap();
        let shape: Vec<usize> = tensor.size().iter().map(|n| *n as usize).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        data.push((name.clone(), Dtype::F32, shape, bytes));
    }
    for dtype in [
        Dtype::BOOL,
        Dtype::F8_E4M3,
        Dtype::I8,
        Dtype::I16,
        Dtype::U64,
    ] {
        let bytes = vec![1; dtype.bitsize() / 8];
        data.push((format!("extra.{dtype:?}"), dtype, vec![1], bytes));
    }
    let views = data.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer1);
    encoder.load(&vars, &weights::read(&path).unwrap()).unwrap();
    for (name, variable) in vars.variables() {
        assert_eq!(variable, tensors[&name], "{name}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused_and_their_tensor_named() {
    let spoilt = |name: &str, number: f64| {
        let mut dict = whole(Arch::Resnet18);
        let _ = dict
            .get_mut(name)
            .unwrap()
            .flatten(0, -1)
            .get(-1)
            .fill_(number);
        dict
    };
    for (name, number, why) in [
        (
            "conv1.weight",
            f64::NAN,
            "1 with NaN or infinite numbers (conv1.weight)",
        ),
        (
            "layer4.1.bn2.bias",
            f64::INFINITY,
            "infinite numbers (layer4.1.bn2.bias)",
        ),
        (
            "layer2.0.bn1.running_mean",
            f64::NEG_INFINITY,
            "(layer2.0.bn1.running_mean)",
        ),
        (
            "bn1.running_var",
            -1e-6,
            "1 with a negative variance (bn1.running_var)",
        ),
    ] {
        let message = mismatch(Arch::Resnet18, &spoilt(name, number));
        assert!(message.contains(why), "{message}");
    }
    // Tensors that the encoder does not use may be anything.
    let (vars, encoder) = encoder(Arch::Resnet18, LastStage::Layer3);
    encoder
        .load(&vars, &spoilt("layer4.1.bn2.bias", f64::NAN))
        .unwrap();
    encoder.load(&vars, &spoilt("fc.bias", f64::NAN)).unwrap();
    // Integers are not weights, in any shape.
    let mut dict = whole(Arch::Resnet18);
    dict.insert(
        "bn1.bias".into(),
        Tensor::ones([64], (Kind::Uint8, Device::Cpu)),
    );
    let message = mismatch(Arch::Resnet18, &dict);
    assert!(
        message.contains("1 of another type (bn1.bias Uint8)"),
        "{message}"
    );
}

/// The error with which an encoder refuses weights; checks that it keeps its own.
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
