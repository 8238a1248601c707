//! Training from pixels with a TorchScript module as the encoder.

use super::*;
use attend_artifact::model::{Checkpoint, Form, SCRIPT, TorchScriptConfig};
use attend_model::{FrozenEncoder, TorchScript};
use tch::CModule;

/// Writes a module whose cells are the means of 8 x 8 pixels, times `factor`.
fn module(path: &Path, factor: f64) {
    let images = Tensor::zeros([2, 3, SIZE as i64, SIZE as i64], (Kind::Float, Device::Cpu));
    let mut traced = |inputs: &[Tensor]| {
        let map = inputs[0].avg_pool2d([8, 8], [8, 8], [0, 0], false, true, None);
        vec![map * factor]
    };
    let module = CModule::create_by_tracing("Net", "forward", &[images], &mut traced);
    module.unwrap().save(path).unwrap();
}

/// A trainer, and the option that names a module.
fn trainer() -> (Trainer, String) {
    let trainer = Trainer::new();
    let path = trainer.path("module.pt");
    module(&path, 1.0);
    let file = format!("torchscript.file={}", path.display());
    (trainer, file)
}

fn set(file: &str) -> [&str; 3] {
    [
        file,
        "train.encoder=frozen",
        "torchscript.std=[0.5,0.5,0.5]",
    ]
}

fn read(trainer: &Trainer, run: &str, file: &str) -> Vec<u8> {
    std::fs::read(trainer.path(run).join("checkpoints/best").join(file)).unwrap()
}

#[test]
fn it_learns_from_pixels_what_it_learns_from_the_modules_features() {
    let (trainer, file) = trainer();
    let (manifest, _) = trainer.run("pixels", &set(&file));
    assert_eq!(manifest.inputs["torchscript"].kind, "torchscript");
    assert!(!manifest.inputs.contains_key("weights"));
    let best = trainer.scores("pixels", "cider");
    assert!(best.last() > best.first(), "{best:?}");

    let script = TorchScriptConfig {
        file: SCRIPT.into(),
        image_size: [SIZE as i64; 2],
        mean: [0.485, 0.456, 0.406],
        std: [0.5; 3],
        output: Form::Map,
        skip: 0,
        grid: [0, 0],
        channels: 0,
    };
    let path = trainer.path("module.pt");
    let script = TorchScript::open(&path, &script, Device::Cpu).unwrap();
    let cells = |pixels: &[u8]| -> Vec<f32> {
        let size = [1, 3, SIZE as i64, SIZE as i64];
        let pixels = Tensor::from_data_size(pixels, &size, Kind::Uint8);
        let cells = script.cells(&pixels).unwrap().cells;
        cells.reshape([-1]).try_into().unwrap()
    };
    let dataset = Artifact::open(&trainer.dataset).unwrap();
    let config = EncoderConfig::TorchScript(script.config().clone());
    let bytes = std::fs::read(&path).unwrap();
    let features = features::write(&trainer.path("features"), &dataset, &config, &bytes, &cells);
    let output = trainer
        .command("features-model", &["train.encoder=frozen"])
        .arg(format!("--input=features={}", features.root.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", log(&output));
    for file in [
        "model.json",
        "decoder.safetensors",
        "encoder.pt",
        "vocab.json",
    ] {
        let [pixels, features] = ["pixels", "features-model"].map(|run| read(&trainer, run, file));
        assert!(pixels == features, "{file}");
    }
}

#[test]
fn checkpoints_carry_the_module_that_ran_and_a_killed_run_ends_the_same() {
    let (trainer, file) = trainer();
    let set = set(&file);
    let (whole, _) = trainer.run("whole", &set);
    let before = read(&trainer, "whole", "encoder.pt");
    assert!(before == std::fs::read(trainer.path("module.pt")).unwrap());
    assert!(!trainer.path("whole/.encoder.pt").exists());

    interrupted(
        &trainer,
        "killed",
        &[&set[..], &["train.epochs=50"]].concat(),
    );
    let (resumed, log) = trainer.run("killed", &set);
    assert!(log.contains("going on after step"), "{log}");
    assert_eq!(resumed.digest, whole.digest);

    // Written again in its place: the models that ran the old one keep it.
    module(&trainer.path("module.pt"), 2.0);
    let best = trainer.path("whole/checkpoints/best");
    Checkpoint::open(&best).unwrap().check().unwrap();
    assert!(before == read(&trainer, "whole", "encoder.pt"));
    let (other, _) = trainer.run("other", &set);
    assert_ne!(other.inputs["torchscript"], whole.inputs["torchscript"]);

    // A model goes on with its own module, and without the file.
    std::fs::remove_file(trainer.path("module.pt")).unwrap();
    let start = format!("train.start={}", trainer.path("whole").display());
    let (second, _) = trainer.run(
        "second",
        &["train.encoder=frozen", "train.epochs=1", &start],
    );
    assert!(!second.inputs.contains_key("torchscript"));
    assert!(before == read(&trainer, "second", "encoder.pt"));
    trainer.refused(&["train.encoder=fine-tune", &start], 2, "never trained");
}

#[test]
fn a_module_that_can_not_run_is_refused() {
    let (trainer, file) = trainer();
    trainer.refused(&[&file], 2, "never trained; set train.encoder = \"frozen\"");
    let gone = ["torchscript.file=/no/such.pt", "train.encoder=frozen"];
    trainer.refused(&gone, 3, "torchscript.file");
    let config = format!("torchscript.file={}", trainer.path("config.toml").display());
    trainer.refused(&set(&config), 3, "config.toml: no TorchScript module");
    let tokens = [&set(&file)[..], &["torchscript.output=tokens"]].concat();
    trainer.refused(&tokens, 3, "[2, tokens, channels]");
}
