//! The program from outside: it evaluates a model with random weights on a small data set.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::evaluation::{self, WordsRecord};
use attend_artifact::manifest::Manifest;
use attend_artifact::model::{CARD, Checkpoint};
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Record, Staging, digest_file};
use attend_metrics::{Corpus, Metric, Scorer, tokens};
use attend_model::{encoder as encoders, weights};
use attend_testing::{DataSet, Split, checkpoint};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tch::{Device, Kind, Tensor, nn};

const SIDE: usize = 32;
const WORDS: [&str; 8] = ["a", "dog", "cat", "on", "the", "grass", "runs", "red"];

/// Images 1 to `test`, in split test, and one in split train.
fn dataset(root: &Path, test: usize) -> PathBuf {
    let split = |name, first, count| Split { name, first, count };
    let data = DataSet {
        side: SIDE,
        splits: &[split("train", 1000, 1), split("test", 1, test as i64)],
        pixels: &|image_id| {
            let pixel = |i: usize| ((i * 7 + i / 31 * image_id as usize * 13) % 256) as u8;
            (0..3 * SIDE * SIDE).map(pixel).collect()
        },
        captions: &|_| vec!["A dog runs on the grass.".into(), "a red cat".into()],
        // Every word names an object, so that every word of a caption counts.
        objects: &WORDS,
    };
    data.write(&root.join("dataset")).root
}

fn words(swapped: bool) -> Vocabulary {
    let mut words: Vec<(String, u64)> = WORDS.iter().map(|word| ((*word).into(), 9)).collect();
    if swapped {
        words.swap(1, 2);
    }
    Vocabulary::new(words, 5, 50)
}

fn vocabulary(root: &Path, name: &str, swapped: bool) -> PathBuf {
    let path = root.join(name);
    let staging = Staging::open(&path, Manifest::draft("vocabulary", "test", "1")).unwrap();
    words(swapped)
        .write(&staging.path("vocab.json").unwrap())
        .unwrap();
    staging.done("vocab.json", None).unwrap();
    staging.commit(&[]).unwrap();
    path
}

/// A model with random weights and only the checkpoint `best`.
fn model(root: &Path) -> PathBuf {
    let path = root.join("model");
    let staging = Staging::open(&path, Manifest::draft("model", "test", "1")).unwrap();
    let words = words(false);
    let card = checkpoint::card(&words, [SIDE as i64; 2], [4, 4]);
    let best = staging.folder().join("checkpoints/best");
    let card = checkpoint::write(&best, card, &words, 7, true);
    for file in [CARD].iter().chain(&card.files()) {
        staging
            .done(&format!("checkpoints/best/{file}"), None)
            .unwrap();
    }
    staging.commit(&[]).unwrap();
    path
}

/// The features of all images, by the model's own encoder.
fn features(root: &Path, encoder: Option<&[u8]>) -> PathBuf {
    let path = root.join("features");
    let best = root.join("model/checkpoints/best");
    let config = Checkpoint::open(&best).unwrap().card.encoder;
    let vars = nn::VarStore::new(Device::Cpu);
    let resnet = encoders::new(&vars.root(), config.resnet().unwrap());
    let dict = weights::read(&best.join("encoder.safetensors")).unwrap();
    resnet.load(&vars, &dict).unwrap();
    let resnet = resnet.frozen();
    let cells = |pixels: &[u8]| -> Vec<f32> {
        let size = [1, 3, SIDE as i64, SIDE as i64];
        let pixels = Tensor::from_data_size(pixels, &size, Kind::Uint8);
        let cells = resnet.cells(&pixels).unwrap();
        assert_eq!(cells.grid, [8, 8]);
        cells.cells.reshape([-1]).try_into().unwrap()
    };
    let dataset = Artifact::open(&root.join("dataset")).unwrap();
    let own = std::fs::read(best.join("encoder.safetensors")).unwrap();
    let file = encoder.unwrap_or(&own);
    attend_testing::features::write(&path, &dataset, &config, file, &cells).root
}

fn command(root: &Path, inputs: &[&str], output: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-evaluate"));
    for kind in inputs {
        command.arg("--input");
        command.arg(format!("{kind}={}", root.join(kind).display()));
    }
    command.args([
        "--set",
        "search.max_length=9",
        "--set",
        "evaluate.batch=4",
        "--jobs",
        "1",
    ]);
    command.arg("--output").arg(root.join(output));
    command.env("ATTEND_METEOR", "none");
    command
}

fn run(root: &Path, inputs: &[&str], output: &str) -> Output {
    command(root, inputs, output).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that the run failed with this exit code; returns its message.
#[track_caller]
fn failed(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    error
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn captions(results: &Value) -> HashMap<i64, String> {
    let results = results.as_array().unwrap();
    let pair = |r: &Value| {
        (
            r["image_id"].as_i64().unwrap(),
            r["caption"].as_str().unwrap().into(),
        )
    };
    let captions: HashMap<i64, String> = results.iter().map(pair).collect();
    assert_eq!(captions.len(), results.len(), "every image once");
    captions
}

#[test]
fn every_image_is_described_once_and_scored() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    dataset(root, 7);
    model(root);
    vocabulary(root, "vocabulary", false);
    let printed = succeeded(&run(root, &["model", "dataset", "vocabulary"], "out"));
    let out = root.join("out");
    Artifact::open_kind(&out, "evaluation")
        .unwrap()
        .verify()
        .unwrap();
    assert!(
        printed.contains("BLEU-4") && printed.contains("1.png"),
        "{printed}"
    );

    let scores = json(out.join("scores.json"));
    // all images have the same captions
    assert!(printed.contains("CIDEr is 0 by its formula"), "{printed}");
    assert_eq!(scores["notes"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&scores["split"], &scores["images"]),
        (&"test".into(), &7.into())
    );
    let references: Vec<_> = ["A dog runs on the grass.", "a red cat"]
        .map(tokens::ptb)
        .into();
    let mut said = Vec::new();
    for beam in ["1", "3", "5"] {
        let results = captions(&json(out.join(format!("results-beam-{beam}.json"))));
        let mut ids: Vec<i64> = results.keys().copied().collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
        let hypotheses: Vec<_> = results.values().map(|c| tokens::ptb(c)).collect();
        assert!(hypotheses.iter().all(|words| words.len() <= 9));
        let metrics = [Metric::Bleu, Metric::Rouge, Metric::Cider];
        let corpus = Corpus::of_words(&hypotheses, &vec![references.clone(); 7]);
        for expected in Scorer::default().score(&metrics, &corpus) {
            let score = scores["beams"][beam][&expected.key].as_f64().unwrap();
            assert!((score - expected.corpus).abs() < 1e-12, "{expected:?}");
        }
        said.push(results);
    }
    let primary = captions(&json(out.join("results.json")));
    assert_eq!(primary, said[1]);

    // every word names an object, whose box is a quarter of the image
    let words: usize = primary
        .values()
        .map(|c| c.split(' ').filter(|w| !w.is_empty()).count())
        .sum();
    assert!(words >= 7);
    let grounding = &scores["grounding"];
    assert_eq!(grounding["words"], words);
    assert!((grounding["chance"].as_f64().unwrap() - 0.25).abs() < 1e-9);
    let ratio = grounding["inside"].as_f64().unwrap() / 0.25;
    assert!((grounding["ratio"].as_f64().unwrap() - ratio).abs() < 1e-9 && ratio > 0.0);

    let file = std::fs::File::open(out.join("per_image.parquet")).unwrap();
    let table = SerializedFileReader::new(file).unwrap();
    let rows = table.metadata().file_metadata().num_rows();
    assert_eq!(rows, 21);

    // The words of the primary captions, with their attention over the decoder's grid.
    let words = WordsRecord::read(&out.join(evaluation::WORDS)).unwrap();
    assert_eq!(words.len(), 7);
    for row in words {
        assert_eq!(row.words.join(" "), primary[&row.image_id]);
        assert_eq!((row.grid_height, row.grid_width), (4, 4));
        let of_words: Vec<&[u8]> = row.attention.chunks(16).collect();
        assert_eq!(of_words.len(), row.words.len());
        assert!(of_words.iter().all(|cells| cells.contains(&255)));
        assert_eq!(row.log_probs.len(), row.words.len());
        assert!(row.log_probs.iter().all(|p| *p <= 0.0));
    }
}

#[test]
fn features_and_pixels_say_the_same() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    dataset(root, 9);
    model(root);
    features(root, None);
    succeeded(&run(root, &["model", "dataset"], "pixels"));
    succeeded(&run(
        root,
        &["model", "dataset", "features"],
        "features-too",
    ));
    for file in ["results.json", "results-beam-5.json"] {
        let [pixels, features] = ["pixels", "features-too"].map(|f| json(root.join(f).join(file)));
        assert_eq!(captions(&pixels), captions(&features));
    }
    // features of another encoder than the one in the checkpoint
    std::fs::remove_dir_all(root.join("features")).unwrap();
    features(root, Some(b"another encoder"));
    let message = failed(&run(root, &["model", "dataset", "features"], "none"), 4);
    assert!(
        message.contains("trained on features of the encoder"),
        "{message}"
    );
    assert!(!root.join("none").exists());
}

#[test]
fn a_model_agrees_with_itself() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    dataset(root, 3);
    let model = model(root);
    succeeded(&run(root, &["model", "dataset"], "alone"));
    let mut together = command(root, &["model", "dataset"], "together");
    let set = format!("evaluate.ensemble=[{:?}]", model.display().to_string());
    succeeded(&together.args(["--set", &set]).output().unwrap());
    let results = |of: &str| captions(&json(root.join(of).join("results.json")));
    assert_eq!(results("together"), results("alone"));
    let manifest = Artifact::open(&root.join("together")).unwrap().manifest;
    let decoder = model.join("checkpoints/best/decoder.safetensors");
    assert_eq!(
        manifest.inputs["ensemble-1"].digest,
        digest_file(&decoder).unwrap()
    );
}

#[test]
fn an_interrupted_evaluation_goes_on_to_the_same_artifact() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    dataset(root, 400);
    model(root);
    succeeded(&run(root, &["model", "dataset"], "whole"));
    let mut child = command(root, &["model", "dataset"], "cut").spawn().unwrap();
    let first = root.join("cut.staging/.scratch/part-00000.parquet");
    while !first.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    // 130, unless the run was so fast that the signal came too late
    let code = child.wait().unwrap().code();
    assert!(
        code == Some(130) && !root.join("cut").exists() || code == Some(0),
        "{code:?}"
    );
    let again = run(root, &["model", "dataset"], "cut");
    succeeded(&again);
    let digest = |name: &str| json(root.join(name).join("manifest.json"))["digest"].clone();
    assert_eq!(digest("whole"), digest("cut"));
    assert_eq!(json(root.join("cut/scores.json"))["images"], 400);
}

#[test]
fn what_does_not_fit_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    dataset(root, 2);
    model(root);
    vocabulary(root, "vocabulary", true);
    let message = failed(&run(root, &["model", "dataset", "vocabulary"], "out"), 4);
    let hash = |path: &str| digest_file(&root.join(path)).unwrap();
    assert!(
        message.contains(&hash("vocabulary/vocab.json")),
        "{message}"
    );
    assert!(
        message.contains(&hash("model/checkpoints/best/vocab.json")),
        "{message}"
    );
    assert!(message.contains("train again"), "{message}");

    let with = |set: &str, code: i32| {
        let mut command = command(root, &["model", "dataset"], "out");
        failed(&command.args(["--set", set]).output().unwrap(), code)
    };
    assert!(with("evaluate.split=\"val\"", 3).contains("train, test"));
    assert!(with("evaluate.checkpoint=\"last\"", 4).contains("checkpoints/last"));
    assert!(with("evaluate.primary_beam=2", 2).contains("[1, 3, 5]"));
    assert!(with("evaluate.metrics=[\"meteor\"]", 3).contains("setup --meteor"));
    assert!(with("evaluate.device=\"tpu\"", 2).contains("tpu"));
    assert!(with("evaluate.ensemble=[\"/none\"]", 3).contains("neither a run, a model artifact"));
    assert!(!root.join("out").exists());
}

#[test]
fn damaged_models_and_features_of_another_shape_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    dataset(root, 5);
    model(root);
    let best = root.join("model/checkpoints/best");
    let companion = root.join("companion");
    std::fs::create_dir(&companion).unwrap();
    for entry in best.read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), companion.join(entry.file_name())).unwrap();
    }
    let ensemble = format!("evaluate.ensemble=[\"{}\"]", companion.display());
    let evaluate = || {
        let mut command = command(root, &["model", "dataset"], "evaluation");
        command.args(["--set", &ensemble]).output().unwrap()
    };
    for folder in [&best, &companion] {
        for file in ["decoder.safetensors", "encoder.safetensors"] {
            let path = folder.join(file);
            let whole = std::fs::read(&path).unwrap();
            let mut flipped = whole.clone();
            *flipped.last_mut().unwrap() ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let error = failed(&evaluate(), 4);
            assert!(error.contains(&*path.to_string_lossy()), "{error}");
            std::fs::write(&path, whole).unwrap();
        }
    }
    succeeded(&evaluate());

    // The features claim to be by the model's encoder, but have another grid.
    let path = features(root, None);
    let mut manifest = Artifact::open(&path).unwrap().manifest;
    manifest.counts.insert("grid_height".into(), 4);
    manifest.counts.insert("grid_width".into(), 16);
    manifest.digest = manifest.compute_digest();
    let text = serde_json::to_string(&manifest).unwrap();
    std::fs::write(path.join("manifest.json"), text).unwrap();
    let error = failed(&run(root, &["model", "dataset", "features"], "other"), 4);
    assert!(error.contains("4 x 16 cells"), "{error}");
}
