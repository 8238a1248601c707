//! What `cargo xtask init` writes runs to scores, unchanged.

#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::model::{Arch, LastStage, ResNetConfig};
use attend_testing::{Run, Weights};
use attend_tests::program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Drawn scenes, in Karpathy's format.
fn scenes(world: &Path) -> PathBuf {
    let folder = world.join("scenes");
    let mut draw = program("attend-scenes");
    for item in ["train=24", "val=6", "test=8", "image_size=32"] {
        draw.arg("--set").arg(format!("scenes.{item}"));
    }
    draw.arg("--output").arg(&folder).ok();
    folder
}

/// Weights of a small encoder, a ResNet-18 up to layer1, at random.
fn weights(world: &Path) -> PathBuf {
    let encoder = ResNetConfig {
        arch: Arch::Resnet18,
        last_stage: LastStage::Layer1,
        ..ResNetConfig::default()
    };
    let path = world.join("small.safetensors");
    std::fs::write(&path, Weights::random(&encoder.parameters(), 1).bytes()).unwrap();
    path
}

/// The runner, with the programs beside it.
fn xtask() -> Command {
    let mut xtask = program("xtask");
    let folder = Path::new(xtask.get_program()).parent().unwrap().to_owned();
    xtask.env("ATTEND_BIN_DIR", folder);
    xtask
}

/// Writes a config for `data` and runs it; returns what `init` said and the scores.
fn run(world: &Path, data: &Path, name: &str) -> (String, Value) {
    let mut init = xtask();
    init.args(["init", "--name", name, "--data"]).arg(data);
    init.arg("--weights").arg(weights(world));
    init.arg("--output").arg(world.join("configs"));
    let said = init.ok().out;
    let config = world.join("configs").join(format!("{name}.toml"));
    let next = format!("cargo xtask run --config {}", config.display());
    assert!(said.contains(&next), "{said}");
    let mut run = xtask();
    run.args(["run", "--jobs", "1", "--config"]).arg(&config);
    run.arg("--artifacts").arg(world.join("runs")).ok();
    let scores = world.join(format!("runs/{name}/evaluation/scores.json"));
    (
        said,
        serde_json::from_slice(&std::fs::read(scores).unwrap()).unwrap(),
    )
}

#[test]
fn what_init_writes_runs_to_scores() {
    let world = tempfile::tempdir().unwrap();
    let world = world.path();
    let scenes = scenes(world);
    let (said, scores) = run(world, &scenes, "scenes");
    assert!(said.contains("38 images, 190 captions"), "{said}");
    assert!(
        said.contains("train 24 (120 captions), val 6 (30 captions), test 8"),
        "{said}"
    );
    assert_eq!(scores["images"], 8);

    // The same photographs as a table without splits.
    let text = std::fs::read(scenes.join("dataset_scenes.json")).unwrap();
    let karpathy: Value = serde_json::from_slice(&text).unwrap();
    let mut csv = String::from("image,caption\n");
    for image in karpathy["images"].as_array().unwrap() {
        for sentence in image["sentences"].as_array().unwrap() {
            let [name, caption] =
                [&image["filename"], &sentence["raw"]].map(|it| it.as_str().unwrap());
            csv += &format!("{name},\"{caption}\"\n");
        }
    }
    let table = world.join("table");
    std::fs::create_dir(&table).unwrap();
    std::fs::write(table.join("captions.csv"), csv).unwrap();
    std::os::unix::fs::symlink(scenes.join("images"), table.join("images")).unwrap();
    let (said, scores) = run(world, &table, "table");
    assert!(said.contains("38 images, 190 captions"), "{said}");
    let tested = format!("test {} (", scores["images"]);
    assert!(
        said.contains("by their content: train ") && said.contains(&tested),
        "{said}"
    );

    // The tutorial's files of the same data set.
    let tutorial = world.join("tutorial");
    let mut export = program("attend-hdf5");
    export.arg("export").arg(&tutorial);
    for kind in ["dataset", "vocabulary"] {
        let path = world.join(format!("runs/scenes/{kind}"));
        export
            .arg("--input")
            .arg(format!("{kind}={}", path.display()));
    }
    export.ok();
    let (said, scores) = run(world, &tutorial, "hdf5");
    assert!(said.contains("38 images, 190 captions"), "{said}");
    assert_eq!(scores["images"], 8);
}

/// A config whose variables or files are missing says so before its first stage runs.
#[test]
fn what_is_missing_is_named_with_the_fetch_that_brings_it() {
    let world = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/coco2014.toml");
    let run = || {
        let mut run = xtask();
        run.args(["run", "--to", "ingest", "--config"]).arg(&config);
        run.arg("--artifacts").arg(world.path().join("runs"));
        run
    };
    let brings = "`cargo xtask fetch coco2014 karpathy --to DIR` brings it";
    run().env_remove("COCO").refused(2, &[brings]);
    let brings =
        "dataset_coco.json: no such file (`cargo xtask fetch karpathy --to DIR` brings it)";
    run().env("COCO", world.path()).refused(3, &[brings]);
    let listed = xtask().args(["fetch", "resnet101", "--dry-run"]).ok().out;
    assert!(listed.contains("SHA-256 63fe2227"), "{listed}");
}
