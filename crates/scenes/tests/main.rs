//! Runs `attend-scenes`, whose output is a data set in COCO's layout.
#![allow(clippy::unwrap_used)]

use attend_artifact::Artifact;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn command(output: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-scenes"));
    command
        .args([
            "--set=scenes.train=30",
            "--set=scenes.val=5",
            "--set=scenes.test=5",
        ])
        .args(args)
        .arg("--output")
        .arg(output);
    command
}

fn scenes(output: &Path, args: &[&str]) -> Artifact {
    let result = command(output, args).output().unwrap();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    Artifact::open(output).unwrap()
}

fn json(artifact: &Artifact, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(artifact.file(name).unwrap()).unwrap()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let one = scenes(&folder.path().join("one"), &["--jobs=1"]);
    one.verify().unwrap();
    let two = scenes(&folder.path().join("two"), &["--jobs=2"]);
    assert_eq!(one.manifest.digest, two.manifest.digest);
    let other = scenes(&folder.path().join("three"), &["--set=scenes.seed=2"]);
    assert_ne!(one.manifest.digest, other.manifest.digest);
}

#[test]
fn killed_at_any_instant_it_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let whole = scenes(&folder.path().join("whole"), &[]).manifest;
    let took = begun.elapsed();
    let killed = folder.path().join("killed");
    // Until fifty were killed; how many finish before that depends on the machine's load.
    let (mut kills, mut n) = (0, 0);
    while kills < 50 {
        let mut child = command(&killed, &[]);
        let mut child = child.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took * (n * 37 % 50) / 50);
        n += 1;
        child.kill().unwrap(); // SIGKILL
        kills += u32::from(child.wait().unwrap().code().is_none());
        let artifact = scenes(&killed, &[]);
        artifact.verify().unwrap();
        assert_eq!(artifact.manifest, whole);
        std::fs::remove_dir_all(&killed).unwrap();
    }
}

#[test]
fn every_picture_has_five_captions_and_two_boxes_inside_it() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = scenes(
        &folder.path().join("scenes"),
        &["--set=scenes.image_size=48"],
    );
    let images = json(&artifact, "dataset_scenes.json")["images"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(images.len(), 40);
    for image in &images {
        let name = format!(
            "{}/{}",
            image["filepath"].as_str().unwrap(),
            image["filename"].as_str().unwrap()
        );
        let picture = image::open(artifact.file(&name).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (48, 48));
        assert_eq!(image["sentences"].as_array().unwrap().len(), 5);
    }
    let instances = json(&artifact, "annotations/instances.json");
    let boxes = instances["annotations"].as_array().unwrap();
    assert_eq!(boxes.len(), 80);
    for side in boxes.iter().map(|b| b["bbox"].as_array().unwrap()) {
        let [x, y, width, height] = [0, 1, 2, 3].map(|n: usize| side[n].as_f64().unwrap());
        assert!(
            x >= 0.0 && y >= 0.0 && x + width <= 48.0 && y + height <= 48.0,
            "{side:?}"
        );
    }
}
