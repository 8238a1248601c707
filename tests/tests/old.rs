//! Tests with a run of earlier code (`fixtures/old.sh`): it is read, verified and continued.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::{Manifest, digest_file};
use attend_testing::Run;
use attend_tests::{old_run, program};
use serde_json::Value;
use std::path::Path;

/// Runs a program in the run's folder; returns its log.
#[track_caller]
fn run(folder: &Path, name: &str, arguments: &[&str]) -> String {
    program(name).args(arguments).current_dir(folder).ok().log
}

const TRAIN: [&str; 6] = [
    "--config=config.toml",
    "--jobs=1",
    "--input=dataset=dataset",
    "--input=vocabulary=vocabulary",
    "--input=features=features",
    "--output",
];

#[track_caller]
fn train(folder: &Path, output: &str, set: &str) -> String {
    let arguments = [&TRAIN[..], &[output, "--set", set]].concat();
    run(folder, "attend-train", &arguments)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn old_artifacts_are_whole() {
    let (_folder, run_folder) = old_run();
    for name in ["dataset", "vocabulary", "features", "model", "evaluation"] {
        run(&run_folder, "attend-verify", &[name]);
    }
}

#[test]
fn an_old_model_is_evaluated_as_before() {
    let (_folder, run_folder) = old_run();
    let evaluate = |output: &str| {
        let arguments = [
            "--config=config.toml",
            "--jobs=1",
            "--input=model=model",
            "--input=dataset=dataset",
            "--output",
            output,
        ];
        run(&run_folder, "attend-evaluate", &arguments)
    };
    // Outputs of the same inputs and parameters are not made again.
    let log = evaluate("evaluation");
    assert!(log.contains("up to date"), "{log}");
    evaluate("again");
    for file in ["results.json", "results-beam-1.json"] {
        let captions = |folder: &str| std::fs::read(run_folder.join(folder).join(file)).unwrap();
        assert_eq!(captions("again"), captions("evaluation"), "{file}");
    }
}

/// Evaluations of schema version 1 have no `words.parquet`.
#[test]
fn an_old_evaluation_has_a_report_without_attention() {
    let (_folder, run_folder) = old_run();
    let arguments = [
        "--input=evaluation=evaluation",
        "--input=dataset=dataset",
        "--output=report",
    ];
    let log = run(&run_folder, "attend-report", &arguments);
    // Its scores are those that are computed now.
    assert!(!log.contains("other scores"), "{log}");
    let page = std::fs::read_to_string(run_folder.join("report/report.html")).unwrap();
    assert!(page.contains("This evaluation keeps no attention"));
}

/// Features of schema version 1 say `encoder.json` without a kind. That is no reason to make
/// them again, and a part that is made again is as it was.
#[test]
fn old_features_are_up_to_date_and_repaired_as_they_were() {
    let (_folder, run_folder) = old_run();
    let features = run_folder.join("features");
    // The file of weights is not kept; its tensors are.
    let weights = run_folder.join("weights.safetensors");
    std::fs::copy(features.join("encoder.safetensors"), &weights).unwrap();
    let mut old = Manifest::read(&features).unwrap();
    old.inputs.get_mut("weights").unwrap().digest = digest_file(&weights).unwrap();
    old.digest = old.compute_digest();
    let text = serde_json::to_string(&old).unwrap();
    std::fs::write(features.join("manifest.json"), text).unwrap();
    let make = |more: &str| {
        let set = format!("--set=encoder.weights=\"{}\"", weights.display());
        let arguments = [
            "--config=config.toml",
            "--jobs=1",
            "--input=dataset=dataset",
            "--output=features",
            &set,
        ];
        let arguments = [&arguments[..], &[more][..more.len().min(1)]].concat();
        run(&run_folder, "attend-features", &arguments)
    };
    let log = make("");
    assert!(log.contains("up to date"), "{log}");
    std::fs::write(features.join("encoder.json"), "{}").unwrap();
    make("--repair");
    run(&run_folder, "attend-verify", &["features"]);
    assert_eq!(Manifest::read(&features).unwrap(), old);
}

#[test]
fn an_old_training_that_was_interrupted_goes_on() {
    let (_folder, run_folder) = old_run();
    let old = lines(&run_folder.join("interrupted.staging/metrics.jsonl"));
    let log = train(&run_folder, "interrupted", "train.epochs=2000");
    assert!(log.contains("going on after step 3 of epoch 1"), "{log}");
    let new = lines(&run_folder.join("interrupted/metrics.jsonl"));
    assert_eq!(new[..old.len()], old);
    assert!(new.len() > old.len() && new[old.len()]["step"].as_u64() > Some(3));
    run(&run_folder, "attend-verify", &["interrupted"]);
}

#[test]
fn an_old_model_is_trained_further() {
    let (_folder, run_folder) = old_run();
    let old = lines(&run_folder.join("model/metrics.jsonl"));
    // Nothing is done if nothing changed; with one more epoch, the training continues.
    let log = train(&run_folder, "model", "train.epochs=2");
    assert!(log.contains("up to date"), "{log}");
    train(&run_folder, "model", "train.epochs=3");
    let new = lines(&run_folder.join("model/metrics.jsonl"));
    assert_eq!(new[..old.len()], old);
    let state = std::fs::read(run_folder.join("model/checkpoints/last/state.json")).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["epoch"], 3);
    run(&run_folder, "attend-verify", &["model"]);
}
