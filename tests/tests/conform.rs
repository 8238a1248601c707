//! `cargo xtask conform` with our own stages, and with one that breaks every promise.
#![allow(clippy::unwrap_used)]

use attend_testing::Run;
use attend_tests::program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn conform(stage: &str, more: &[&str]) -> Command {
    let mut xtask = program("xtask");
    let programs = Path::new(xtask.get_program()).parent().unwrap().to_owned();
    xtask
        .args(["conform", "--json", "--stage", stage])
        .args(more);
    xtask.env("ATTEND_BIN_DIR", programs);
    xtask
}

/// The names of the checks with this result.
fn named(json: &str, result: &str) -> Vec<String> {
    let checks: Vec<Value> = serde_json::from_str(json).unwrap();
    let found = checks.iter().filter(|check| check["result"] == result);
    let names = found.map(|check| check["check"].as_str().unwrap().to_owned());
    names.collect()
}

/// A stage of ours keeps every promise; the checks of these names don't apply to it.
#[track_caller]
fn keeps_all(stage: &str, more: &[&str], untried: &[&str]) {
    let ended = conform(stage, more).ok();
    assert_eq!(named(&ended.out, "failed"), [""; 0], "{}", ended.out);
    let open = named(&ended.out, "untried");
    let unexpected = (open.iter())
        .filter(|name| !untried.iter().any(|known| name.starts_with(known)))
        // A stage that takes milliseconds may be faster than every signal.
        .filter(|name| !name.starts_with("SIG"));
    assert_eq!(unexpected.count(), 0, "{open:?}");
}

#[test]
fn vocab_keeps_every_promise() {
    keeps_all(
        "attend-vocab",
        &["--kind", "vocabulary", "--set", "vocab.min_count=1"],
        &["--shards", "--task"],
    );
}

#[test]
fn ingest_keeps_every_promise() {
    let sets = [
        "--input",
        "scenes",
        "--set",
        "dataset.annotations=dataset_scenes.json",
        "--set",
        "dataset.image_size=32",
        "--set",
        "dataset.shard_size=8",
    ];
    keeps_all("attend-ingest", &sets, &["a missing input"]);
}

#[test]
fn features_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let weights = weights(folder.path());
    let sets = [
        "--set",
        &format!("encoder.weights={}", weights.display()),
        "--set",
        "encoder.arch=resnet18",
        "--set",
        "encoder.last_stage=layer1",
    ];
    keeps_all("attend-features", &sets, &[]);
}

/// Trains a small network for an epoch; returns its encoder's weights.
fn weights(folder: &Path) -> PathBuf {
    let [scenes, dataset, vocabulary, model] =
        ["scenes", "dataset", "vocabulary", "model"].map(|kind| folder.join(kind));
    let make = |name: &str, output: &Path, inputs: &[(&str, &Path)], sets: &[&str]| {
        let mut command = program(name);
        for (kind, path) in inputs {
            command
                .arg("--input")
                .arg(format!("{kind}={}", path.display()));
        }
        for set in sets {
            command.args(["--set", set]);
        }
        command.arg("--output").arg(output).ok();
    };
    let sets = [
        "scenes.train=40",
        "scenes.val=8",
        "scenes.test=1",
        "scenes.image_size=32",
    ];
    make("attend-scenes", &scenes, &[], &sets);
    let sets = [
        "dataset.annotations=dataset_scenes.json",
        "dataset.image_size=32",
    ];
    make("attend-ingest", &dataset, &[("scenes", &scenes)], &sets);
    let inputs: [(&str, &Path); 2] = [("dataset", &dataset), ("vocabulary", &vocabulary)];
    make(
        "attend-vocab",
        &vocabulary,
        &inputs[..1],
        &["vocab.min_count=1"],
    );
    let sets = [
        "encoder.arch=resnet18",
        "encoder.last_stage=layer1",
        "train.encoder=whole",
        "train.epochs=1",
        "train.max_length=5",
        "decoder.embedding=8",
        "decoder.attention=8",
        "decoder.hidden=8",
        "decoder.grid=[0, 0]",
    ];
    make("attend-train", &model, &inputs, &sets);
    model.join("checkpoints/best/encoder.safetensors")
}

#[test]
fn each_promise_that_a_stage_breaks_is_named() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bad-stage.py");
    let stage = format!("python3 '{}'", script.display());
    let words = ["of what is required of a stage"];
    let ended = conform(&stage, &["--kind", "vocabulary"]).refused(4, &words);
    let kept = named(&ended.out, "passed");
    assert_eq!(
        kept,
        [
            "--describe says what it reads, makes and takes",
            "it makes its artifact"
        ],
        "{}",
        ended.out
    );
    let untried = [
        "a lost file is made again", // it lists none
        "--check refuses a wrong config beforehand, and makes nothing",
    ];
    assert_eq!(named(&ended.out, "untried"), untried, "{}", ended.out);
    for (check, why) in [
        ("--describe gives", "name is empty"),
        (
            "the manifest names",
            "kind is \\\"words\\\", not \\\"vocabulary\\\"",
        ),
        ("the manifest holds no path", "made is"),
        ("a finished run leaves nothing", "artifact.part is left"),
        ("an unknown key", "exit code 0 instead of 2"),
        ("a missing input", "exit code 0 instead of 2"),
        ("its inputs stay", "seen has changed"),
    ] {
        let at = ended.out.find(&format!("\"check\": \"{check}"));
        let row = ended.out[at.unwrap()..].split('}').next().unwrap();
        assert!(row.contains("\"failed\"") && row.contains(why), "{row}");
    }
}

#[test]
fn what_is_no_stage_is_told_so() {
    let why = |stage: &str| {
        let ended = conform(stage, &[]).refused(4, &["it lacks 1"]);
        let checks: Vec<Value> = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(checks.len(), 1);
        checks[0]["why"].as_str().unwrap().to_owned()
    };
    assert!(why("no-such-program").contains("neither in"));
    assert!(why("false").contains("it is not a stage"));
    assert!(why("echo").contains("is not understood"));
    conform("attend-vocab 'open", &[]).refused(2, &["check its quotes"]);
    let kind = ["--kind", "features"];
    let ended = conform("attend-vocab", &kind).refused(4, &[]);
    assert!(ended.out.contains("it makes vocabulary, not features"));
}
