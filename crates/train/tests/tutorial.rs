//! `attend-train import` and `export`: models of the PyTorch tutorial, here and back.
//! `fixtures/tutorial.py` made the checkpoints.
#![allow(clippy::unwrap_used)]

use attend_artifact::model::Checkpoint;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, digest_file, verify};
use attend_model::pickled::{self, Python, ordered};
use attend_model::{Arch, LastStage, StrideIn, weights};
use attend_testing::{DataSet, Run, Split, vocabulary};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tutorial")
        .join(name)
}

fn trainer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-train"));
    command.args(arguments);
    command
}

/// `attend-train import` of a checkpoint with the fixtures' word map.
fn import(checkpoint: &Path, output: &Path) -> Command {
    let mut command = trainer(&["import", "--wordmap"]);
    command.arg(fixture("WORDMAP_small.json"));
    command
        .arg("--tutorial")
        .arg(checkpoint)
        .arg("--output")
        .arg(output);
    command
}

fn export(model: &Path, output: &Path) -> Command {
    let mut command = trainer(&["export"]);
    command
        .arg("--tutorial")
        .arg(model)
        .arg("--output")
        .arg(output);
    command
}

fn best(model: &Path) -> Checkpoint {
    Checkpoint::of_artifact(&Artifact::open_kind(model, "model").unwrap(), "best").unwrap()
}

fn bytes(model: &Path) -> [Vec<u8>; 2] {
    let best = best(model);
    [best.encoder().unwrap(), best.decoder()].map(|path| std::fs::read(path).unwrap())
}

#[test]
fn a_checkpoint_in_either_format_gives_a_whole_model_with_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [zip, legacy] = ["zip", "legacy"].map(|name| {
        let model = folder.path().join(name);
        import(&fixture(&format!("{name}.pth.tar")), &model).ok();
        assert_eq!(
            verify::judge(&model, Some("model"), &[]).unwrap().findings,
            []
        );
        model
    });
    assert_eq!(bytes(&zip), bytes(&legacy));

    let best = best(&zip);
    let resnet = best.card.encoder.resnet().unwrap();
    assert_eq!(
        (resnet.arch, resnet.last_stage, resnet.stride_in),
        (Arch::Resnet18, LastStage::Layer1, StrideIn::Conv3x3)
    );
    let decoder = &best.card.decoder;
    assert_eq!(
        (decoder.embedding, decoder.attention, decoder.hidden),
        (6, 5, 7)
    );
    assert_eq!(
        (decoder.channels, decoder.dropout, decoder.grid),
        (64, 0.25, [14, 14])
    );
    assert_eq!(best.card.image_size, [256, 256]);
    // Features by this file are features for this decoder.
    let encoder = digest_file(&best.encoder().unwrap()).unwrap();
    assert_eq!(best.card.encoder_blake3, encoder);
    let words = best.vocabulary().unwrap();
    let map: BTreeMap<String, i64> =
        serde_json::from_slice(&std::fs::read(fixture("WORDMAP_small.json")).unwrap()).unwrap();
    assert_eq!(words.len(), map.len());
    for (word, id) in map {
        assert_eq!(words.word(id), Some(word.as_str()));
    }

    let expected = std::fs::read(fixture("weights.json")).unwrap();
    let expected: BTreeMap<String, (Vec<i64>, f64, f64)> =
        serde_json::from_slice(&expected).unwrap();
    let files = [
        ("encoder", best.encoder().unwrap()),
        ("decoder", best.decoder()),
    ];
    let mut found = 0;
    for (part, path) in files {
        for (name, tensor) in weights::read(&path).unwrap() {
            let (shape, sum, last) = &expected[&format!("{part} {name}")];
            assert_eq!(&tensor.size(), shape, "{name}");
            let is = tensor.sum(Kind::Double).double_value(&[]);
            assert!((is - sum).abs() < 1e-9, "{name}: {is}, not {sum}");
            assert_eq!(
                tensor.flatten(0, -1).get(-1).double_value(&[]),
                *last,
                "{name}"
            );
            found += 1;
        }
    }
    assert_eq!(found, expected.len());
}

#[test]
fn an_exported_model_comes_back_with_the_same_weights_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    import(&fixture("zip.pth.tar"), &first).ok();
    let file = folder.path().join("BEST_checkpoint_small.pth.tar");
    export(&first, &file).ok();
    let mut back = trainer(&["import"]);
    back.arg("--tutorial")
        .arg(&file)
        .arg("--output")
        .arg(&second);
    back.arg("--wordmap")
        .arg(folder.path().join("WORDMAP_small.json"))
        .ok();
    assert_eq!(bytes(&first), bytes(&second));
    let [first_card, second_card] = [&first, &second].map(|model| best(model).card);
    assert_eq!(first_card, second_card);
    // Nothing is overwritten unasked.
    export(&first, &file).refused(
        2,
        &["BEST_checkpoint_small.pth.tar: exists already", "--force"],
    );
    export(&first, &file).arg("--force").ok();
}

#[test]
fn training_goes_on_from_an_imported_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    import(&fixture("legacy.pth.tar"), &model).ok();
    let words = best(&model).vocabulary().unwrap();
    let data = DataSet {
        side: 32,
        splits: &[
            Split {
                name: "train",
                first: 0,
                count: 8,
            },
            Split {
                name: "val",
                first: 100,
                count: 4,
            },
        ],
        pixels: &|id| vec![(id * 20 % 256) as u8; 3 * 32 * 32],
        captions: &|id| {
            vec![format!(
                "a plain {} picture",
                ["red", "green"][id as usize % 2]
            )]
        },
        objects: &[],
    };
    let dataset = data.write(&folder.path().join("dataset"));
    // The same words in the same order, counted.
    let counted = words.words.iter().map(|word| (word.word.clone(), 3));
    let counted = Vocabulary::new(counted, 1, 20);
    let vocabulary = vocabulary::write(&folder.path().join("vocabulary"), &dataset, &counted);
    let config = folder.path().join("config.toml");
    let text = "[decoder]\nembedding = 6\nattention = 5\nhidden = 7\n[train]\nepochs = 2\nbatch = 4\nencoder = \"fine-tune\"\n";
    std::fs::write(&config, text).unwrap();
    let tuned = folder.path().join("tuned");
    let mut command = trainer(&["--jobs", "1", "--config"]);
    command.arg(&config).arg("--output").arg(&tuned);
    for (kind, root) in [
        ("dataset", &dataset.root),
        ("vocabulary", &vocabulary.root),
        ("model", &model),
    ] {
        command.arg(format!("--input={kind}={}", root.display()));
    }
    command.ok();
    let [before, after] =
        [&model, &tuned].map(|model| weights::read(&best(model).decoder()).unwrap());
    assert!(before.keys().eq(after.keys()));
    let far = |name: &String| (&before[name] - &after[name]).abs().max().double_value(&[]);
    // Two epochs of two steps of at most 4e-4 each, from the imported weights.
    for name in before.keys() {
        assert!(far(name) < 4.0 * 4e-4 * 1.1, "{name}: {}", far(name));
    }
    assert!(far(&"fc.weight".to_owned()) > 0.0);
}

#[test]
fn a_word_map_of_another_checkpoint_or_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("WORDMAP.json");
    let text = std::fs::read_to_string(fixture("WORDMAP_small.json")).unwrap();
    for (text, words) in [
        (
            text.replace("\"sheet\": 13, ", ""),
            "\"<unk>\" has the id 14 instead of 13",
        ),
        (
            text.replace("\"plain\": 2", "\"plain\": 3"),
            "\"plain\" has the id 3 instead of",
        ),
        (
            text.replace("\"<pad>\": 0", "\"<pad>\": 99"),
            "\"<pad>\" has the id 99 instead of 0",
        ),
        (text.replace(", \"<pad>\": 0", ""), "<pad>"),
        (
            text.replace("\"plain\": 2", "\"plain\": \"2\""),
            "an id is no integer",
        ),
        (
            r#"{"dog": 1, "<unk>": 2, "<start>": 3, "<end>": 4, "<pad>": 0}"#.to_owned(),
            "its decoder has 17 words",
        ),
        (
            r#"{"<unk>": 1, "<start>": 2, "<end>": 3, "<pad>": 0}"#.to_owned(),
            "no words",
        ),
        (
            "[1, 2]".to_owned(),
            "WORDMAP_….json that create_input_files.py",
        ),
        ("\u{0}".to_owned(), "WORDMAP.json"),
    ] {
        std::fs::write(&map, &text).unwrap();
        let mut command = trainer(&["import"]);
        command
            .arg("--tutorial")
            .arg(fixture("zip.pth.tar"))
            .arg("--wordmap")
            .arg(&map);
        command
            .arg("--output")
            .arg(folder.path().join("model"))
            .refused(3, &[words]);
        assert!(!folder.path().join("model").exists());
    }
}

/// A module with these attributes and modules.
fn module(class: (&'static str, &'static str), attributes: Entries, modules: Entries) -> Python {
    let mut state = vec![
        ("_parameters".to_owned(), ordered(vec![])),
        ("_buffers".to_owned(), ordered(vec![])),
        ("_modules".to_owned(), ordered(modules)),
    ];
    state.extend(attributes);
    Python::Instance(class, state)
}

type Entries = Vec<(String, Python)>;

const CONV: (&str, &str) = ("torch.nn.modules.conv", "Conv2d");
const NORM: (&str, &str) = ("torch.nn.modules.batchnorm", "BatchNorm2d");
const RELU: (&str, &str) = ("torch.nn.modules.activation", "ReLU");
const POOL: (&str, &str) = ("torch.nn.modules.pooling", "MaxPool2d");
const SEQUENTIAL: (&str, &str) = ("torch.nn.modules.container", "Sequential");
const BOTTLENECK: (&str, &str) = ("torchvision.models.resnet", "Bottleneck");

fn numbered(modules: Vec<Python>) -> Entries {
    (0..).map(|n: usize| n.to_string()).zip(modules).collect()
}

fn conv(stride: i64, groups: i64, channels: i64) -> Python {
    let numbers = [
        ("stride", stride),
        ("groups", groups),
        ("dilation", 1),
        ("out_channels", channels),
    ];
    let entries = numbers.map(|(name, n)| (name.to_owned(), Python::Int(n)));
    module(CONV, entries.into(), vec![])
}

fn norm() -> Python {
    module(NORM, vec![("eps".to_owned(), Python::Float(1e-5))], vec![])
}

/// A ResNet up to layer1, of blocks whose 3x3 convolution has groups.
fn resnet(blocks: usize, groups: i64, width: i64) -> Python {
    let block = |_| {
        let parts = [("conv1", 1), ("conv2", groups), ("conv3", 1)];
        let convs = parts.map(|(name, groups)| (name.to_owned(), conv(1, groups, width)));
        module(BOTTLENECK, vec![], convs.into())
    };
    let stride = || vec![("stride".to_owned(), Python::Int(2))];
    let layer = module(
        SEQUENTIAL,
        vec![],
        numbered((0..blocks).map(block).collect()),
    );
    let parts = vec![
        conv(2, 1, 64),
        norm(),
        module(RELU, vec![], vec![]),
        module(POOL, stride(), vec![]),
        layer,
    ];
    module(SEQUENTIAL, vec![], numbered(parts))
}

/// Writes a checkpoint whose encoder has this network under this name.
fn write(path: &Path, name: &str, network: Python) {
    let named = |name: &str, python| vec![(name.to_owned(), python)];
    let encoder = module(("models", "Encoder"), vec![], named(name, network));
    let fc = module(("torch.nn.modules.linear", "Linear"), vec![], vec![]);
    let decoder = module(("models", "DecoderWithAttention"), vec![], named("fc", fc));
    let value = Python::Dict(vec![
        ("encoder".to_owned(), encoder),
        ("decoder".to_owned(), decoder),
    ]);
    pickled::write(&mut std::fs::File::create(path).unwrap(), &value).unwrap();
}

#[test]
fn an_encoder_that_is_no_known_resnet_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("BEST_checkpoint_other.pth.tar");
    let plain = |class| module(class, vec![], vec![]);
    let vgg = || {
        let three = || [conv(1, 1, 64), plain(RELU), plain(POOL)];
        module(
            SEQUENTIAL,
            vec![],
            numbered([three(), three(), three()].into_iter().flatten().collect()),
        )
    };
    let dense = module(
        SEQUENTIAL,
        vec![],
        numbered(vec![
            plain(CONV),
            plain(("torchvision.models.densenet", "_DenseBlock")),
        ]),
    );
    for (network, words) in [
        (vgg(), "it looks like vgg"),
        (dense, "it looks like densenet"),
        (
            resnet(3, 1, 128),
            "a wide ResNet, with [128] channels in layer1",
        ),
        (resnet(3, 32, 128), "a ResNeXt, with [32] groups"),
        (
            resnet(5, 1, 64),
            "a ResNet with [5] blocks of class Bottleneck",
        ),
        (plain(("my", "Net")), "nothing"),
    ] {
        write(&path, "resnet", network);
        let output = folder.path().join("model");
        import(&path, &output).refused(3, &["BEST_checkpoint_other.pth.tar: ", words]);
        assert!(!output.exists());
    }
    write(&path, "net", resnet(3, 1, 64));
    let refused = |words| {
        import(&path, &folder.path().join("model")).refused(3, &[words]);
    };
    refused("its encoder has no `resnet`, but modules of Sequential");
    // This one would do, but has no weights.
    write(&path, "resnet", resnet(3, 1, 64));
    refused("its decoder lacks embedding.weight");
}

#[test]
fn what_is_no_checkpoint_of_the_tutorial_is_refused_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth.tar");
    let put = |value: &Python| {
        pickled::write(&mut std::fs::File::create(&path).unwrap(), value).unwrap();
    };
    let refused = |words: &[&str]| {
        import(&path, &folder.path().join("model")).refused(3, words);
    };
    let tensor = || Python::Tensor(Tensor::from_slice(&[1f32]));
    put(&ordered(vec![("fc.weight".to_owned(), tensor())]));
    refused(&[
        "model.pth.tar: no checkpoint of the tutorial: holds fc.weight, but no module `encoder`",
    ]);
    put(&Python::Dict(vec![
        ("encoder".to_owned(), ordered(vec![])),
        ("decoder".to_owned(), tensor()),
    ]));
    refused(&["holds encoder, decoder, but no module `encoder`"]);
    put(&tensor());
    refused(&["not a dict with a module `encoder`"]);
    put(&Python::Call(
        ("os", "mkdir"),
        vec![Python::Text("executed".to_owned())],
        vec![],
    ));
    refused(&["not a dict"]);
    assert!(!Path::new("executed").exists());
    std::fs::write(&path, "<html>").unwrap();
    refused(&["a web page"]);
    let whole = std::fs::read(fixture("legacy.pth.tar")).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    refused(&["the file is cut short or damaged: copy or download it again"]);
    std::fs::remove_file(&path).unwrap();
    refused(&["--tutorial", "no such file"]);
}
