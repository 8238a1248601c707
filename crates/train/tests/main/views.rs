//! Training on features of several views of each image.

use super::{SIZE, Trainer, log};
use attend_artifact::Artifact;
use attend_artifact::model::{EncoderConfig, ForeignConfig};
use attend_model::weights;
use attend_testing::features;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Features that are the pictures' colours; to those of view N, `shift` is added N times.
fn write(trainer: &Trainer, name: &str, views: usize, shift: f32) {
    let encoder = EncoderConfig::Foreign(ForeignConfig {
        name: "colours".into(),
        image_size: [SIZE as i64; 2],
        grid: [2, 2],
        channels: 3,
        command: None,
    });
    let cells = |pixels: &[u8], view| {
        let colour = pixels
            .chunks(SIZE * SIZE)
            .map(|plane| f32::from(plane[0]) / 255.0);
        let cell: Vec<f32> = colour.map(|c| c + shift * view as f32).collect();
        cell.repeat(4)
    };
    let dataset = Artifact::open(&trainer.dataset).unwrap();
    features::write_views(&trainer.path(name), &dataset, &encoder, b"", views, &cells);
}

fn command(trainer: &Trainer, output: &str, features: &str, set: &[&str]) -> Command {
    let frozen = ["train.encoder=frozen", "decoder.grid=[0,0]"];
    let mut command = trainer.command(output, &[&frozen[..], set].concat());
    command.arg(format!(
        "--input=features={}",
        trainer.path(features).display()
    ));
    command
}

fn trained(trainer: &Trainer, output: &str, features: &str, set: &[&str]) -> Artifact {
    let result = command(trainer, output, features, set).output().unwrap();
    assert!(result.status.success(), "{}", log(&result));
    Artifact::open(&trainer.path(output)).unwrap()
}

fn decoder(model: &Artifact) -> weights::StateDict {
    weights::read(&model.root.join("checkpoints/last/decoder.safetensors")).unwrap()
}

#[test]
fn each_step_sees_a_view_only_if_it_is_to() {
    let trainer = Trainer::new();
    write(&trainer, "plain", 1, 0.0);
    write(&trainer, "same", 8, 0.0);
    write(&trainer, "other", 8, 0.25);
    let views = "train.views=true";
    let plain = trained(&trainer, "a", "plain", &[]);
    assert_eq!(plain.manifest.config["train"].get("views"), None);
    // Views that are as the images themselves, or are not to be seen, change nothing.
    let same = trained(&trainer, "b", "same", &[views]);
    assert_eq!(same.manifest.config["train"]["views"], true);
    assert_eq!(decoder(&same), decoder(&plain));
    assert_eq!(
        decoder(&trained(&trainer, "c", "other", &[])),
        decoder(&plain)
    );
    let seen = trained(&trainer, "d", "other", &[views]);
    assert_ne!(decoder(&seen), decoder(&plain));
}

#[test]
fn a_killed_run_sees_the_same_views() {
    let trainer = Trainer::new();
    write(&trainer, "features", 8, 0.25);
    let set = ["train.views=true", "train.epochs=12"];
    let whole = trained(&trainer, "whole", "features", &set);
    let mut child = (command(&trainer, "killed", "features", &set))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let best = trainer.path("killed.staging/checkpoints/best/state.json");
    while !best.exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!trainer.path("killed").exists(), "it was too quick");
    let resumed = trained(&trainer, "killed", "features", &set);
    assert_eq!(resumed.manifest.digest, whole.manifest.digest);
}

#[test]
fn views_that_are_not_there_are_missed() {
    let trainer = Trainer::new();
    write(&trainer, "plain", 1, 0.0);
    let views = ["train.views=true"];
    let result = command(&trainer, "refused", "plain", &views)
        .output()
        .unwrap();
    assert_eq!(result.status.code(), Some(2), "{}", log(&result));
    let words = "plain has one view of each image; make more with features.views";
    assert!(log(&result).contains(words), "{}", log(&result));
    trainer.refused(
        &views,
        2,
        "train.views chooses among the views of features, and there are none: give --input",
    );
}
