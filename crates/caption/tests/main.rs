//! The program from outside: a model of random weights looks at small pictures.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::manifest::Manifest;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Staging, digest_file, staging};
use attend_model::{Arch, Captioner, DecoderConfig, EncoderConfig, LastStage, ModelCard};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tch::Device;

/// Random weights, but such that the captioner has something to say: words
/// depend strongly on what was seen and said, and `<end>` is unlikely.
fn fresh(card: ModelCard) -> Captioner {
    tch::manual_seed(3);
    let end = card.decoder.vocabulary - 1;
    let captioner = Captioner::new(card, Device::Cpu);
    tch::no_grad(|| {
        for (name, mut weights) in captioner.decoder_vars.variables() {
            let _ = weights.g_mul_scalar_(6.0);
            if name == "fc.bias" {
                let _ = weights.get(end).fill_(-4.0);
            }
        }
    });
    captioner
}

/// A checkpoint of random weights, with a word that is not ASCII.
fn checkpoint(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let words = ["a", "hündchen", "собака", "犬", "runs"].map(|word| (word.to_owned(), 9));
    let vocabulary = Vocabulary::new(words, 5, 50);
    vocabulary.write(&folder.join("vocab.json")).unwrap();
    let card = ModelCard {
        encoder: EncoderConfig {
            arch: Arch::Resnet18,
            last_stage: LastStage::Layer1,
            ..EncoderConfig::default()
        },
        decoder: DecoderConfig {
            vocabulary: vocabulary.len() as i64,
            channels: 64,
            embedding: 8,
            attention: 8,
            hidden: 16,
            dropout: 0.5,
            grid: [0, 0],
        },
        image_size: [24, 32],
        vocabulary_blake3: digest_file(&folder.join("vocab.json")).unwrap(),
        encoder_blake3: String::new(),
    };
    fresh(card).save(folder).unwrap();
}

/// A model artifact.
fn model(root: &Path) -> PathBuf {
    let path = root.join("model");
    let staging = Staging::open(&path, Manifest::draft("model", "test", "1")).unwrap();
    let file = staging.path("checkpoints/best/model.json").unwrap();
    checkpoint(file.parent().unwrap());
    for file in [
        "model.json",
        "vocab.json",
        "encoder.safetensors",
        "decoder.safetensors",
    ] {
        staging
            .done(&format!("checkpoints/best/{file}"), None)
            .unwrap();
    }
    staging.commit(&[]).unwrap();
    path
}

fn picture(path: &Path, width: u32, height: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x, y| Rgb([(x * 5) as u8, (y * 5) as u8, width as u8]);
    RgbImage::from_fn(width, height, pixel).save(path).unwrap();
}

fn command(model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-caption"));
    command.arg("--model").arg(model);
    command.args(["--max-length", "6", "--jobs", "1", "--batch", "2"]);
    command
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (Vec<String>, String) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (text.lines().map(str::to_owned).collect(), error)
}

#[test]
fn files_folders_and_lists_are_described_and_the_unreadable_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    for name in ["in/b.png", "in/a.jpg", "in/more/c.png", "d.png"] {
        picture(&root.join(name), 40, 30);
    }
    std::fs::write(root.join("in/text.jpg"), "no picture at all").unwrap();
    let mut child = command(&model)
        .args(["--recursive", "-", "none.jpg"])
        .arg(root.join("in"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let list = format!("{}\n", root.join("d.png").display());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(list.as_bytes())
        .unwrap();
    let (lines, error) = ended(&child.wait_with_output().unwrap(), 3);
    let paths: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once('\t').unwrap().0)
        .collect();
    let expected = ["d.png", "in/a.jpg", "in/b.png", "in/more/c.png"].map(|name| root.join(name));
    assert_eq!(
        paths,
        expected.each_ref().map(|path| path.to_str().unwrap())
    );
    assert!(error.contains("text.jpg: unsupported"), "{error}");
    assert!(error.contains("none.jpg: No such file"), "{error}");
    assert!(error.contains("2 of 6 images"), "{error}");
}

#[test]
fn an_image_is_described_alike_alone_and_in_company() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    let names: Vec<PathBuf> = (0..5).map(|i| root.join(format!("{i}.png"))).collect();
    for (i, path) in names.iter().enumerate() {
        picture(path, 30 + 9 * i as u32, 40);
    }
    let (together, _) = ended(&command(&model).args(&names).output().unwrap(), 0);
    let mut alone = Vec::new();
    for path in &names {
        alone.extend(ended(&command(&model).arg(path).output().unwrap(), 0).0);
    }
    assert_eq!(together, alone);
}

#[test]
fn json_and_figures_go_together() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    checkpoint(&root.join("checkpoint"));
    for name in ["one/dog.png", "two/dog.png"] {
        picture(&root.join(name), 80, 60);
    }
    let mut command = command(&root.join("checkpoint"));
    command
        .args(["--json", "--attention"])
        .arg(root.join("out"));
    command.args([root.join("one"), root.join("two")]);
    let (lines, _) = ended(&command.output().unwrap(), 0);
    assert_eq!(lines.len(), 2);
    let mut figures = Vec::new();
    for line in &lines {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["grid"], serde_json::json!([6, 8]));
        let words = object["words"].as_array().unwrap();
        let spoken: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(object["caption"], spoken.join(" "));
        assert!((1..=6).contains(&spoken.len()) && object["log_prob"].as_f64().unwrap() < 0.0);
        let figure = PathBuf::from(object["attention"].as_str().unwrap());
        let size = image::image_dimensions(&figure).unwrap();
        // tiles of 240 x 180 for the photograph and each word, at most 6 in a row
        let tiles = spoken.len() as u32 + 1;
        let columns = tiles.div_ceil(tiles.div_ceil(6)).max(3);
        assert_eq!(size.0, 2 * 32 + columns * 258 - 18);
        assert!(size.1 > tiles.div_ceil(6) * 180);
        figures.push(figure);
    }
    assert_ne!(figures[0], figures[1]);
    let files = std::fs::read_dir(root.join("out")).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn the_checkpoint_of_a_running_training_is_found() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    checkpoint(&root.join("model.staging/checkpoints/last"));
    picture(&root.join("a.png"), 20, 20);
    let run = |checkpoint: &str| {
        let mut command = command(&root.join("model"));
        command
            .args(["--checkpoint", checkpoint])
            .arg(root.join("a.png"));
        command.output().unwrap()
    };
    assert_eq!(ended(&run("last"), 0).0.len(), 1);
    ended(&run("best"), 4);
}

#[test]
fn what_is_no_model_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    picture(&root.join("a.png"), 20, 20);
    let refused = |model: &Path| {
        let output = command(model).arg(root.join("a.png")).output().unwrap();
        ended(&output, 4).1
    };
    assert!(refused(&root.join("none")).contains("does not exist"));
    assert!(refused(root).contains("model.json"));
    // the vocabulary of another model
    let folder = root.join("checkpoint");
    checkpoint(&folder);
    let words = std::fs::read_to_string(folder.join("vocab.json")).unwrap();
    std::fs::write(folder.join("vocab.json"), words.replace("runs", "sits")).unwrap();
    assert!(refused(&folder).contains("vocab.json"));
    std::fs::remove_file(folder.join("vocab.json")).unwrap();
    assert!(refused(&folder).contains("vocab.json"));
    checkpoint(&folder);
    std::fs::write(folder.join("decoder.safetensors"), "cut").unwrap();
    assert!(refused(&folder).contains("decoder.safetensors"));
}

#[test]
fn one_flipped_bit_of_a_model_is_no_other_caption() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let artifact = model(root);
    picture(&root.join("a.png"), 40, 30);
    // As the trainer writes one: alone, and while the training is still running.
    let sealed = root.join("sealed");
    let growing = staging::folder_of(&root.join("run")).join("checkpoints/best");
    for folder in [&sealed, &growing] {
        checkpoint(folder);
        attend_artifact::model::seal(folder, &BTreeMap::new()).unwrap();
    }
    // In the artifact there is one of an earlier version: its manifest has the digests.
    let best = artifact.join("checkpoints/best");
    for (given, folder) in [
        (&artifact, &best),
        (&best, &best),
        (&sealed, &sealed),
        (&root.join("run"), &growing),
    ] {
        let describe = || command(given).arg(root.join("a.png")).output().unwrap();
        ended(&describe(), 0);
        for file in [
            "decoder.safetensors",
            "encoder.safetensors",
            "vocab.json",
            "model.json",
        ] {
            let path = folder.join(file);
            let whole = std::fs::read(&path).unwrap();
            let mut flipped = whole.clone();
            let at = match file {
                "model.json" => text_at(&whole, "0.5") + 2, // dropout 0.4
                "vocab.json" => text_at(&whole, "runs"),
                _ => whole.len() - 2,
            };
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let (lines, error) = ended(&describe(), 4);
            assert!(
                lines.is_empty() && error.contains(&*path.to_string_lossy()),
                "{error}"
            );
            std::fs::write(&path, whole).unwrap();
        }
    }
}

fn text_at(bytes: &[u8], text: &str) -> usize {
    let found = |window: &[u8]| window == text.as_bytes();
    bytes.windows(text.len()).position(found).unwrap()
}
