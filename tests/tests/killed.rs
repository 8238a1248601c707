//! Stages that are killed at each point at which files on disk are between two states
//! (`attend_program::fault`), one after the other.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_testing::Run;
use attend_tests::{old_run, program};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// As `fault::point` ends a process.
const KILLED: i32 = 137;

fn digest(artifact: &Path) -> Option<String> {
    let text = std::fs::read(artifact.join("manifest.json")).ok()?;
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    Some(manifest["digest"].as_str().unwrap().to_owned())
}

fn is_killed(command: &mut Command) -> bool {
    let status = command.stderr(Stdio::null()).status().unwrap();
    assert!(
        status.success() || status.code() == Some(KILLED),
        "{command:?}: {status}"
    );
    !status.success()
}

/// Files below a folder that a killed run has left behind.
fn left_over(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_a_run = [".staging", ".new", ".old"];
        if name.starts_with(".part-") || of_a_run.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        } else if path.is_dir() {
            left_over(&path, found);
        }
    }
}

/// Kills `stage`, which makes the artifact that it is given, at its first point, its second
/// one, and so on. What was `before` stays whole until the new one is; the same command
/// then ends as if nothing had happened.
fn survives(stage: &dyn Fn(&Path) -> Command, before: &dyn Fn(&Path) -> Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = folder.path().join("undisturbed/artifact");
    std::fs::create_dir(undisturbed.parent().unwrap()).unwrap();
    stage(&undisturbed).ok();
    let expected = digest(&undisturbed);
    for point in 1.. {
        let place = folder.path().join(point.to_string());
        std::fs::create_dir(&place).unwrap();
        let artifact = place.join("artifact");
        let before = before(&artifact);
        let mut command = stage(&artifact);
        if !is_killed(command.env("ATTEND_FAULT", point.to_string())) {
            assert!(point > 5, "only {point} points");
            break;
        }
        let found = digest(&artifact);
        assert!(
            found == before || found == expected,
            "point {point}: {found:?}"
        );
        if found.is_some() {
            program("attend-verify").arg(&artifact).ok();
        }
        stage(&artifact).ok();
        assert_eq!(digest(&artifact), expected, "point {point}");
        program("attend-verify").arg(&artifact).ok();
        let mut found = Vec::new();
        left_over(&place, &mut found);
        assert!(found.is_empty(), "point {point}: {found:?}");
        std::fs::remove_dir_all(&place).unwrap();
    }
}

/// Nothing was there before.
fn nothing(_: &Path) -> Option<String> {
    None
}

fn scenes(folder: &Path) -> PathBuf {
    let scenes = folder.join("scenes");
    program("attend-scenes")
        .args(["--set=scenes.train=6", "--set=scenes.val=2"])
        .args(["--set=scenes.test=2", "--set=scenes.image_size=32"])
        .arg("--output")
        .arg(&scenes)
        .ok();
    scenes
}

fn ingest(scenes: &Path, output: &Path, image_size: u32) -> Command {
    let mut command = program("attend-ingest");
    command
        .args(["--jobs=1", "--set=dataset.format=karpathy"])
        .arg("--set=dataset.annotations=dataset_scenes.json")
        .arg(format!("--set=dataset.root={}", scenes.display()))
        .arg(format!("--set=dataset.image_size={image_size}"))
        .arg("--output")
        .arg(output);
    command
}

#[test]
fn a_data_set_that_is_made_survives_a_kill_at_each_point() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scenes(folder.path());
    survives(&|output| ingest(&scenes, output, 32), &nothing);
}

#[test]
fn a_data_set_that_replaces_another_survives_a_kill_at_each_point() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scenes(folder.path());
    let before = |output: &Path| {
        ingest(&scenes, output, 24).ok();
        digest(output)
    };
    survives(&|output| ingest(&scenes, output, 32), &before);
}

#[test]
fn a_training_survives_a_kill_at_each_point() {
    let (_folder, run) = old_run();
    let train = |output: &Path| {
        let mut command = program("attend-train");
        command
            .current_dir(&run)
            .args(["--config=config.toml", "--jobs=1"])
            .args(["--input=dataset=dataset", "--input=vocabulary=vocabulary"])
            .args(["--input=features=features", "--set=train.epochs=1"])
            .args(["--set=train.checkpoint_steps=4", "--set=train.verify=false"])
            .arg("--output")
            .arg(output);
        command
    };
    survives(&train, &nothing);
}
