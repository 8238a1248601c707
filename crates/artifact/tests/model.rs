//! Tests checkpoints without libtorch: finding, writing and replacing them; and verifying
//! models and evaluations that other programs made.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::model::{
    self, Arch, CARD, Checkpoint, DECODER, DecoderArch, DecoderConfig, ENCODER, EncoderConfig,
    LastStage, ModelCard, Parameters, ResNetConfig, STATE, StrideIn, TransformerConfig, WORDS,
};
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Manifest, Staging, digest_file, verify::judge};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use std::path::{Path, PathBuf};

fn vocabulary() -> Vocabulary {
    Vocabulary::new(["a", "dog"].map(|word| (word.to_owned(), 9)), 1, 50)
}

const RESNET: ResNetConfig = ResNetConfig {
    arch: Arch::Resnet18,
    last_stage: LastStage::Layer1,
    stride_in: StrideIn::Conv3x3,
};

fn card() -> ModelCard {
    ModelCard {
        encoder: EncoderConfig::ResNet(RESNET),
        decoder: DecoderConfig {
            arch: DecoderArch::default(),
            vocabulary: 6,
            channels: 64,
            embedding: 2,
            attention: 3,
            hidden: 4,
            dropout: 0.5,
            grid: [14, 14],
        },
        image_size: [32, 48],
        vocabulary_blake3: String::new(),
        encoder_blake3: String::new(),
    }
}

/// A safetensors file of zeros.
fn zeros(path: &Path, parameters: &Parameters, dtype: Dtype) {
    let bytes = |shape: &[i64]| shape.iter().product::<i64>() as usize * dtype.bitsize() / 8;
    let most = parameters.values().map(|shape| bytes(shape)).max();
    let zeros = vec![0; most.unwrap_or_default()];
    let views = parameters.iter().map(|(name, shape)| {
        let size = shape.iter().map(|n| *n as usize).collect();
        let data = &zeros[..bytes(shape)];
        (name, TensorView::new(dtype, size, data).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// Writes a checkpoint of zeros; `spoil` changes its folder before the digests are computed.
fn checkpoint(folder: &Path, mut card: ModelCard, spoil: impl Fn(&Path)) {
    let words = tempfile::NamedTempFile::new().unwrap();
    vocabulary().write(words.path()).unwrap();
    if card.vocabulary_blake3.is_empty() {
        card.vocabulary_blake3 = digest_file(words.path()).unwrap();
    }
    model::write(folder, &card, words.path(), |new| {
        zeros(&new.join(ENCODER), &RESNET.parameters(), Dtype::F32);
        zeros(&new.join(DECODER), &card.decoder.parameters(), Dtype::F32);
        std::fs::write(new.join(STATE), "{}").unwrap();
        spoil(new);
        Ok(())
    })
    .unwrap();
}

/// A model artifact with checkpoints of these names.
fn model_of(root: &Path, names: &[&str], card: &ModelCard, spoil: impl Fn(&Path)) {
    let staging = Staging::open(root, Manifest::draft("model", "test", "1")).unwrap();
    for name in names {
        let folder = format!("checkpoints/{name}");
        checkpoint(&staging.folder().join(&folder), card.clone(), &spoil);
        for entry in staging.folder().join(&folder).read_dir().unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            staging.done(&format!("{folder}/{file}"), None).unwrap();
        }
    }
    staging.commit(&[]).unwrap();
}

#[test]
fn a_card_comes_back_and_digests_are_no_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("best");
    checkpoint(&folder, card(), |_| {});
    let opened = Checkpoint::open(&folder).unwrap();
    let expected = ModelCard {
        vocabulary_blake3: digest_file(&folder.join(WORDS)).unwrap(),
        ..card()
    };
    assert_eq!(opened.card, expected);
    opened.check().unwrap();
    assert_eq!(opened.vocabulary().unwrap(), vocabulary());
    let text = std::fs::read_to_string(folder.join(CARD)).unwrap();
    let begin = "{\n  \"encoder\": {\n    \"kind\": \"resnet\",\n    \"arch\": \"resnet18\",\n    \"last_stage\": \"layer1\",\n    \"stride_in\": \"conv3x3\"\n  },\n  \"decoder\": {\n    \"vocabulary\": 6,\n";
    assert!(text.starts_with(begin) && text.ends_with("}\n"), "{text}");
}

#[test]
fn a_card_names_its_decoder_unless_it_is_the_tutorials() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("best");
    let transformer = DecoderArch::Transformer(TransformerConfig {
        heads: 2,
        ..TransformerConfig::default()
    });
    for arch in [DecoderArch::UpDown, transformer, DecoderArch::Att2in] {
        let mut other = card();
        other.decoder.arch = arch;
        if arch == transformer {
            (other.decoder.embedding, other.decoder.attention) = (4, 4);
        }
        of_model(&other, |_| {}, &[]);
    }
    let mut other = card();
    other.decoder.arch = DecoderArch::Att2in;
    checkpoint(&folder, other.clone(), |_| {});
    assert_eq!(
        Checkpoint::open(&folder).unwrap().card.decoder,
        other.decoder
    );
    let text = std::fs::read_to_string(folder.join(CARD)).unwrap();
    assert!(text.contains("\"arch\": \"att2in\""), "{text}");
    // Named all the same, it is no unknown key.
    let text = text.replace("att2in", "attention-lstm");
    std::fs::write(folder.join(CARD), text).unwrap();
    assert_eq!(
        Checkpoint::open(&folder).unwrap().card.decoder,
        card().decoder
    );
}

#[test]
fn a_card_of_what_this_version_does_not_know_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, named) in [
        (
            "\"vocabulary\": 6",
            "\"arch\": \"lstm\", \"vocabulary\": 6",
            "unknown variant `lstm`",
        ),
        ("\"resnet18\"", "\"resnet50\"", "decoder.channels = 64"),
        ("\"resnet18\"", "\"resnet19\"", "resnet19"),
        ("\"hidden\": 4", "\"hidden\": 0", "decoder.hidden = 0"),
        ("\"layer1\"", "\"layer2\"", "the encoder makes 128"),
        (
            "\"hidden\": 4",
            "\"hidden\": 4, \"layers\": 2",
            "decoder.layers",
        ),
        ("\"arch\": \"resnet18\",", "", "lacks encoder.arch"),
        (
            "\"vocabulary\": 6",
            "\"vocabulary\": -9",
            "decoder.vocabulary = -9",
        ),
        (
            "\"dropout\": 0.5",
            "\"dropout\": 1.5",
            "decoder.dropout = 1.5",
        ),
        ("\"image_size\"", "\"imagesize\"", "imagesize"),
        ("{", "[", "not a JSON object"),
    ] {
        let folder = folder.path().join("best");
        checkpoint(&folder, card(), |_| {});
        let path = folder.join(CARD);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let Err(error) = Checkpoint::open(&folder) else {
            panic!("{to} is taken");
        };
        assert_eq!(error.exit_code(), 4);
        let message = error.to_string();
        let place = format!("{}: ", path.display());
        assert!(
            message.starts_with(&place) && message.contains(named),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn an_encoder_json_must_say_all_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.json");
    let good = r#"{"arch": "resnet50", "last_stage": "layer3", "stride_in": "conv1x1"}"#;
    std::fs::write(&path, good).unwrap();
    let config = EncoderConfig::read(&path).unwrap();
    assert_eq!(config.channels(), 1024);
    assert_eq!(config.grid([256, 250]), [16, 16]);
    for text in [
        "{",
        r#"{"arch": "resnet50"}"#,
        &good.replace('}', r#", "mean": 0}"#),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = EncoderConfig::read(&path).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("encoder.json: "), "{error}");
    }
}

/// The description of an encoder, or the refusal of its `encoder.json`.
fn encoder(json: &serde_json::Value) -> Result<EncoderConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.json");
    std::fs::write(&path, json.to_string()).unwrap();
    EncoderConfig::read(&path).map_err(|error| {
        assert_eq!(error.exit_code(), 4);
        let message = error.to_string();
        let why = message.strip_prefix(&format!("{}: ", path.display()));
        why.unwrap().to_owned()
    })
}

fn foreign() -> serde_json::Value {
    json!({
        "kind": "foreign", "name": "efficientnet-lite0", "image_size": [32, 48], "grid": [2, 3],
        "channels": 5, "command": ["python3", "lite0.py"],
    })
}

fn torchscript() -> serde_json::Value {
    json!({
        "kind": "torchscript", "file": "encoder.pt", "image_size": [32, 32],
        "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "output": "tokens", "skip": 1,
        "grid": [2, 2], "channels": 192,
    })
}

#[test]
fn encoders_of_each_kind_are_read_and_written_alike() {
    let mut alone = foreign();
    alone.as_object_mut().unwrap().remove("command");
    for json in [foreign(), alone.clone(), torchscript()] {
        let config = encoder(&json).unwrap();
        let written: serde_json::Value = serde_json::from_str(&config.json(2).unwrap()).unwrap();
        assert_eq!(written, json);
    }
    let [with, without] = [foreign(), alone].map(|json| encoder(&json).unwrap());
    assert!(with.is_same(&without) && with != without);
    assert_eq!(with.grid([32, 48]), [2, 3]);
    assert!(with.check_images([32, 48]).is_ok());
    assert_eq!(
        with.check_images([48, 32]).unwrap_err(),
        "the encoder takes images of 32 x 48, not of 48 x 32"
    );
    assert_eq!((with.file(), with.channels()), (None, 5));
    // Version 1 has no kind.
    let resnet = EncoderConfig::ResNet(RESNET);
    for schema in [1, 2] {
        let text = resnet.json(schema).unwrap();
        assert_eq!(text.contains("kind"), schema == 2);
        assert_eq!(
            encoder(&serde_json::from_str(&text).unwrap()),
            Ok(resnet.clone())
        );
    }
}

#[test]
fn encoders_of_absurd_sizes_are_refused_before_memory_is_asked_for() {
    for (good, key, value, why) in [
        (foreign(), "kind", json!("vgg"), "unknown variant `vgg`"),
        (foreign(), "arch", json!("resnet18"), "holds arch"),
        (foreign(), "name", json!(""), "name = \"\": not a name"),
        (
            foreign(),
            "grid",
            json!([2, 1u64 << 40]),
            "grid[1] = 1099511627776 is not in 1..=256",
        ),
        (foreign(), "grid", json!([-1, -6]), "grid[0] = -1 "),
        (foreign(), "channels", json!(0), "channels = 0 "),
        (foreign(), "channels", json!(1 << 20), "channels = 1048576 "),
        (
            foreign(),
            "image_size",
            json!([32, 10000]),
            "image_size[1] = 10000 ",
        ),
        (
            foreign(),
            "image_size",
            json!([32.5, 1]),
            "invalid type: floating point",
        ),
        (foreign(), "command", json!([]), "command names no program"),
        (
            foreign(),
            "command",
            json!("python3 lite0.py"),
            "expected a sequence",
        ),
        (
            torchscript(),
            "file",
            json!("../../script.pt"),
            "file = \"../../script.pt\" is not",
        ),
        (
            torchscript(),
            "std",
            json!([0.5, 0, 0.5]),
            "std = [0.5, 0.0, 0.5]",
        ),
        (torchscript(), "mean", json!([0.5]), "invalid length 1"),
        (
            torchscript(),
            "output",
            json!("map"),
            "skip = 1 is not in 0..=0, for output = \"map\"",
        ),
        (torchscript(), "skip", json!(-1), "skip = -1 "),
    ] {
        let mut json = good;
        json[key] = value;
        let refused = encoder(&json).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    for key in ["name", "image_size", "grid", "channels"] {
        let mut json = foreign();
        json.as_object_mut().unwrap().remove(key);
        assert_eq!(
            encoder(&json).unwrap_err(),
            format!("missing field `{key}`")
        );
    }
}

#[test]
fn a_model_of_a_foreign_encoder_has_no_file_of_it() {
    let foreign = encoder(&foreign()).unwrap();
    let mut card = card();
    card.decoder.channels = foreign.channels();
    card.encoder = foreign;
    card.encoder_blake3 = "made by a program".into();
    of_model(
        &card,
        |new| std::fs::remove_file(new.join(ENCODER)).unwrap(),
        &[],
    );
    let says =
        |card: &ModelCard, why: &str| of_model(card, |_| {}, &[&format!("model.json: {why}")]);
    let other_size = ModelCard {
        image_size: [48, 32],
        ..card.clone()
    };
    says(
        &other_size,
        "the encoder takes images of 32 x 48, not of 48 x 32",
    );
    let trained = ModelCard {
        encoder_blake3: String::new(),
        ..card
    };
    says(
        &trained,
        "encoder_blake3 is empty, but only a ResNet is ever trained",
    );
}

#[test]
fn a_checkpoint_is_found_by_all_names_that_it_has() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let run = root.join("run");
    let find = |path: &Path, name: &str| -> Option<PathBuf> {
        let found = Checkpoint::find(path, name).unwrap();
        found.map(|checkpoint| checkpoint.folder)
    };
    assert_eq!(find(&run, "best"), None);
    // While the training is running; `epoch-00001` is just being replaced.
    let growing = root.join("run.staging/checkpoints");
    for name in ["best", "epoch-00002", "epoch-00001", "epoch-00001.old"] {
        checkpoint(&growing.join("x"), card(), |_| {});
        std::fs::rename(growing.join("x"), growing.join(name)).unwrap();
    }
    assert_eq!(find(&run, "best"), Some(growing.join("best")));
    assert_eq!(find(&run, "last"), None);
    let epochs = |path: &Path| -> Vec<PathBuf> {
        let epochs = Checkpoint::epochs(path).unwrap().into_iter();
        epochs.map(|checkpoint| checkpoint.folder).collect()
    };
    let two = ["epoch-00001", "epoch-00002"].map(|name| growing.join(name));
    assert_eq!(epochs(&run), two);
    // The folder itself.
    assert_eq!(find(&two[0], "best"), Some(two[0].clone()));
    assert_eq!(epochs(&two[0]), two[..1]);
    // The finished model, even if another training is running.
    model_of(
        &root.join("done"),
        &["best", "epoch-00003"],
        &card(),
        |_| {},
    );
    std::fs::rename(root.join("done"), &run).unwrap();
    let best = run.join("checkpoints/best");
    assert_eq!(find(&run, "best"), Some(best.clone()));
    assert_eq!(epochs(&run), [run.join("checkpoints/epoch-00003")]);
    let artifact = Artifact::open(&run).unwrap();
    assert_eq!(
        Checkpoint::of_artifact(&artifact, "best").unwrap().folder,
        best
    );
    let error = Checkpoint::of_artifact(&artifact, "last").err().unwrap();
    assert!(error.to_string().contains("checkpoints/last"), "{error}");
    // A finished artifact that is not a whole model.
    std::fs::write(best.join(DECODER), "cut").unwrap();
    assert!(Checkpoint::find(&run, "best").is_err());
}

#[test]
fn a_checkpoint_is_replaced_whole_and_recovered() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let folder = |name: &str| root.join("checkpoints").join(name);
    checkpoint(&folder("last"), card(), |_| {});
    let digest = |name: &str| digest_file(&folder(name).join(CARD)).unwrap();
    let first = digest("last");
    // A failure leaves the old checkpoint.
    let words = folder("last").join(WORDS);
    let failed = model::write(&folder("last"), &card(), &words, |_| {
        Err(attend_program::Error::internal("no more"))
    });
    assert!(failed.is_err());
    assert_eq!(digest("last"), first);
    checkpoint(&folder("last"), card(), |new| {
        std::fs::write(new.join(STATE), "{\"step\": 1}").unwrap();
    });
    assert_ne!(digest("last"), first);
    assert!(!folder("last.new").exists() && !folder("last.old").exists());
    // A process that died between the two renames.
    let second = digest("last");
    std::fs::rename(folder("last"), folder("last.old")).unwrap();
    model::recover(root).unwrap();
    assert_eq!(digest("last"), second);
    for name in ["best", "epoch-00001", "epoch-00002", "best.new"] {
        checkpoint(&folder("x"), card(), |_| {});
        std::fs::rename(folder("x"), folder(name)).unwrap();
    }
    model::tidy(root, &[2]).unwrap();
    let mut left: Vec<String> = (folder("").read_dir().unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["best", "epoch-00002", "last"]);
    assert_eq!(model::epoch(root, 2), folder("epoch-00002"));
}

#[test]
fn a_checkpoint_can_be_sealed_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("best");
    checkpoint(&folder, card(), |_| {});
    let text = || std::fs::read(folder.join(CARD)).unwrap();
    let first = text();
    model::seal(&folder, &Default::default()).unwrap();
    assert_eq!(text(), first);
    std::fs::write(folder.join(DECODER), "other").unwrap();
    model::seal(&folder, &Default::default()).unwrap();
    Checkpoint::open(&folder).unwrap().check().unwrap();
}

#[test]
fn what_changes_after_a_checkpoint_was_opened_is_seen() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("best");
    checkpoint(&folder, card(), |_| {});
    let opened = Checkpoint::open(&folder).unwrap();
    opened.check().unwrap();
    // A running training replaces it.
    let mut wider = card();
    wider.decoder.hidden = 5;
    checkpoint(&folder, wider, |_| {});
    let error = opened.check().unwrap_err();
    assert!(error.to_string().contains(DECODER), "{error}");
}

/// Everything that verifying an artifact finds.
fn said(root: &Path) -> Vec<String> {
    let verdict = judge(root, None, &[]).unwrap();
    verdict.findings.iter().map(ToString::to_string).collect()
}

/// Verifies a model whose card or files are spoilt.
#[track_caller]
fn of_model(card: &ModelCard, spoil: impl Fn(&Path), expected: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().join("model");
    model_of(&root, &["best"], card, spoil);
    let said = said(&root);
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        let place = format!("checkpoints/best/{expected}");
        assert!(said.starts_with(&place), "{said}\n{place}");
    }
}

#[test]
fn a_model_is_judged_by_its_card() {
    of_model(&card(), |_| {}, &[]);
    // An encoder's file may hold other tensors, and its names may share a prefix.
    let spoil = |new: &Path| {
        let parameters = RESNET.parameters().into_iter();
        let mut parameters: Parameters = parameters
            .map(|(name, shape)| (format!("backbone.{name}"), shape))
            .collect();
        parameters.insert("fc.weight".into(), vec![1000, 512]);
        zeros(&new.join(ENCODER), &parameters, Dtype::F16);
    };
    of_model(&card(), spoil, &[]);
    let mut deeper = card();
    deeper.encoder = EncoderConfig::ResNet(ResNetConfig {
        arch: Arch::Resnet34,
        ..RESNET
    });
    deeper.encoder_blake3 = "abc".into();
    let spoil = |new: &Path| {
        zeros(&new.join(ENCODER), &RESNET.parameters(), Dtype::F32);
        let mut parameters = card().decoder.parameters();
        parameters.insert("fc.bias".into(), vec![7]);
        parameters.remove("init_c.bias");
        parameters.insert("init_d.bias".into(), vec![4]);
        zeros(&new.join(DECODER), &parameters, Dtype::I32);
    };
    of_model(
        &deeper,
        spoil,
        &[
            "encoder.safetensors: damaged: its BLAKE3 is",
            "model.json: encoder_blake3 is not that of the encoder.safetensors beside it",
            "encoder.safetensors: tensors 10 missing: layer1.2.bn1.bias, layer1.2.bn1.running_mean, layer1.2.bn1.running_var, …",
            "decoder.safetensors: tensors 1 missing: init_c.bias; 1 unknown: init_d.bias; 1 of another shape: fc.bias [7] instead of [6]; 18 not of floats: attention.decoder_att.bias I32, ",
        ],
    );
    let spoil = |new: &Path| {
        std::fs::write(new.join(DECODER), "no weights").unwrap();
        std::fs::write(new.join(STATE), "[]").unwrap();
    };
    of_model(
        &card(),
        spoil,
        &[
            "state.json: not a JSON object",
            "decoder.safetensors: damaged safetensors",
        ],
    );
    let other = ModelCard {
        vocabulary_blake3: "abc".into(),
        ..card()
    };
    of_model(&other, |_| {}, &["vocab.json: BLAKE3 "]);
    let mut fewer = card();
    fewer.decoder.vocabulary = 5;
    of_model(
        &fewer,
        |_| {},
        &["vocab.json: has 6 ids, but the decoder knows 5"],
    );
    let spoil = |new: &Path| {
        let text = std::fs::read_to_string(new.join(CARD)).unwrap();
        std::fs::write(new.join(CARD), text.replace("resnet18", "resnet19")).unwrap();
    };
    of_model(&card(), spoil, &["model.json: unknown variant `resnet19`"]);
}

#[test]
fn files_that_a_model_lacks_are_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().join("model");
    let staging = Staging::open(&root, Manifest::draft("model", "test", "1")).unwrap();
    let metrics = "{\"step\": 1}\n[1]\n{\"step\": 2}\n{\"st";
    std::fs::write(staging.path("metrics.jsonl").unwrap(), metrics).unwrap();
    staging.done("metrics.jsonl", None).unwrap();
    staging.commit(&[]).unwrap();
    let missing =
        "checkpoints/best: 3 files are missing: model.json, vocab.json, decoder.safetensors";
    let lines = "metrics.jsonl: 2 lines are no JSON objects: 2, 4";
    assert_eq!(said(&root), [missing, lines]);
}

mod evaluation {
    use super::said;
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
    use attend_artifact::{Manifest, Staging};
    use parquet::arrow::ArrowWriter;
    use serde_json::{Value, json};
    use std::sync::Arc;

    type Row = (i64, u32, &'static str);

    const ROWS: [Row; 4] = [
        (1, 1, "a dog"),
        (2, 1, "a cat"),
        (1, 3, "dogs"),
        (2, 3, "cats"),
    ];

    fn results(beam: u32) -> Value {
        let of_beam = ROWS.iter().filter(|row| row.1 == beam);
        of_beam
            .map(|(id, _, caption)| json!({ "image_id": id, "caption": caption }))
            .collect()
    }

    fn scores(images: u64, beams: &[&str]) -> Value {
        let beams: serde_json::Map<String, Value> = beams
            .iter()
            .map(|beam| ((*beam).to_owned(), json!({})))
            .collect();
        json!({ "split": "test", "images": images, "beams": beams })
    }

    /// Verifies an evaluation of these rows and files.
    fn judged(rows: &[Row], files: &[(&str, Value)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("evaluation");
        let staging = Staging::open(&root, Manifest::draft("evaluation", "test", "1")).unwrap();
        let columns: [(&str, ArrayRef); 3] = [
            (
                "image_id",
                Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
            ),
            (
                "beam",
                Arc::new(rows.iter().map(|row| Some(row.1)).collect::<UInt32Array>()),
            ),
            (
                "caption",
                Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = std::fs::File::create(staging.path("per_image.parquet").unwrap()).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        staging.done("per_image.parquet", None).unwrap();
        for (name, value) in files {
            std::fs::write(staging.path(name).unwrap(), value.to_string()).unwrap();
            staging.done(name, None).unwrap();
        }
        staging.commit(&[("images", 2), ("beams", 2)]).unwrap();
        said(&root)
    }

    #[test]
    fn captions_rows_and_scores_agree() {
        let files = [
            ("results.json", results(3)),
            ("results-beam-1.json", results(1)),
            ("results-beam-3.json", results(3)),
            ("scores.json", scores(2, &["1", "3"])),
        ];
        assert_eq!(judged(&ROWS, &files), [""; 0]);
    }

    #[test]
    fn what_contradicts_is_named_file_by_file() {
        let twice = [
            ROWS[0],
            ROWS[1],
            ROWS[1],
            (1, 5, "a dog"),
            (2, 5, "a cat"),
            (3, 5, ""),
        ];
        let strange = json!([{ "image_id": 1, "caption": "dogs" }, { "image_id": "2" }]);
        let files = [
            ("results.json", strange),
            (
                "results-beam-1.json",
                json!([{ "image_id": 1, "caption": "a log" }]),
            ),
            ("scores.json", scores(2, &["1", "3"])),
        ];
        assert_eq!(
            judged(&twice, &files),
            [
                "per_image.parquet: 1 rows come twice: image 2 at beam size 1",
                "scores.json: \"beams\" are not those of per_image.parquet: 1, 5",
                "scores.json: 2 images, per_image.parquet has 3",
                "results-beam-1.json: 1 images, the manifest says 2",
                "results-beam-1.json: 2 images have another caption in per_image.parquet, or one of the two lacks them: 1, 2",
                "results.json: 1 entries are not {\"image_id\": number, \"caption\": text}: [1]",
                "per_image.parquet: 1 beam sizes have no results-beam-{size}.json: 5",
                "results.json: the captions of no beam size in per_image.parquet",
            ]
        );
    }
}
