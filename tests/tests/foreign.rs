//! A network of another program, from its features to captions of new photographs: trained,
//! continued, evaluated and described, and refused where it can't be.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::model::{EncoderConfig, Form, SCRIPT, TorchScriptConfig};
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Manifest};
use attend_testing::checkpoint;
use attend_testing::{DataSet, Run, Split, features, foreign, vocabulary};
use attend_tests::program;
use image::{Rgb, RgbImage};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SIDE: usize = 16;
const COLOURS: [(&str, [u8; 3]); 3] = [
    ("red", [220, 30, 30]),
    ("green", [30, 200, 40]),
    ("blue", [20, 40, 210]),
];

/// Plain pictures, brighter in one quarter.
fn pixels(image_id: i64) -> Vec<u8> {
    let (_, colour) = COLOURS[image_id as usize % 3];
    let quarter = [image_id as usize % 2, image_id as usize / 2 % 2];
    let plane = |c: u8| {
        (0..SIDE * SIDE).map(move |at| {
            let lit = [at / SIDE / (SIDE / 2), at % SIDE / (SIDE / 2)] == quarter;
            c + 30 * u8::from(lit) + (image_id % 5) as u8
        })
    };
    colour.into_iter().flat_map(plane).collect()
}

/// The command line of the network's program.
fn command() -> String {
    let encoder = program("examples/foreign_encoder");
    format!("{} {SIDE}", encoder.get_program().to_str().unwrap())
}

const CONFIG: &str = r#"
[decoder]
embedding = 16
attention = 16
hidden = 32
grid = [0, 0]
[train]
epochs = 4
batch = 8
decoder_lr = 1e-2
max_length = 8
[search]
beams = [1, 3]
max_length = 8
[evaluate]
split = "val"
metrics = ["bleu"]
"#;

struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// A data set, its vocabulary, and its features by a network that names its program.
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let split = |name, first, count| Split { name, first, count };
        let data = DataSet {
            side: SIDE,
            splits: &[split("train", 0, 24), split("val", 100, 7)],
            pixels: &pixels,
            captions: &|image_id| {
                let (name, _) = COLOURS[image_id as usize % 3];
                vec![format!("a {name} picture"), format!("paper in {name}")]
            },
            objects: &[],
        };
        let dataset = data.write(&root.join("dataset"));
        let words = "a red green blue picture paper in".split(' ');
        let words = Vocabulary::new(words.map(|word| (word.to_owned(), 1)), 1, 8);
        vocabulary::write(&root.join("vocabulary"), &dataset, &words);
        std::fs::write(root.join("config.toml"), CONFIG).unwrap();
        let world = World { folder };
        world.features("features");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn features(&self, name: &str) {
        let words = command().split(' ').map(str::to_owned).collect();
        let encoder = foreign::encoder(SIDE as i64, Some(words));
        let dataset = Artifact::open(&self.path("dataset")).unwrap();
        features::write(&self.path(name), &dataset, &encoder, &[], &foreign::cells);
    }

    fn stage(&self, name: &str, inputs: &[&str], output: &str, set: &[&str]) -> Command {
        let mut stage = program(name);
        stage.current_dir(self.folder.path());
        stage.args(["--config=config.toml", "--jobs=1", "--output", output]);
        stage.args(inputs.iter().map(|input| format!("--input={input}")));
        stage.args(set.iter().map(|set| format!("--set={set}")));
        stage
    }

    fn train(&self, output: &str, more: &[&str], set: &[&str]) -> Command {
        let inputs = [&["dataset=dataset", "vocabulary=vocabulary"], more].concat();
        self.stage("attend-train", &inputs, output, set)
    }

    fn evaluate(&self, output: &str, more: &[&str], set: &[&str]) -> Command {
        let inputs = [&["dataset=dataset", "model=model"], more].concat();
        self.stage("attend-evaluate", &inputs, output, set)
    }

    fn caption(&self, more: &[&str]) -> Command {
        let mut caption = program("attend-caption");
        caption.current_dir(self.folder.path());
        caption
            .args(["--model=model", "--jobs=1", "--max-length=8"])
            .args(more);
        caption
    }

    /// A picture of the data set as a file.
    fn picture(&self, image_id: i64) -> String {
        let name = format!("{image_id}.png");
        let planes = pixels(image_id);
        let pixel = |x: u32, y: u32| {
            let at = y as usize * SIDE + x as usize;
            Rgb([0, 1, 2].map(|plane| planes[plane * SIDE * SIDE + at]))
        };
        let side = SIDE as u32;
        let image = RgbImage::from_fn(side, side, pixel);
        image.save(self.path(&name)).unwrap();
        name
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(path)).unwrap()).unwrap()
    }

    fn verify(&self, name: &str) {
        program("attend-verify").arg(self.path(name)).ok();
    }
}

const FEATURES: &[&str] = &["features=features"];

#[test]
fn photographs_and_their_features_get_the_same_captions() {
    let world = World::new();
    world.verify("features");
    world.train("model", FEATURES, &[]).ok();
    world.verify("model");
    for name in ["best", "last"] {
        let checkpoint = world.path(&format!("model/checkpoints/{name}"));
        assert!(!checkpoint.join("encoder.safetensors").exists());
        let card = world.json(&format!("model/checkpoints/{name}/model.json"));
        assert_eq!(card["encoder"], world.json("features/encoder.json"));
    }

    world.evaluate("by-features", FEATURES, &[]).ok();
    // The model's command is shown and not run.
    let command = command();
    let refused = [
        command.as_str(),
        "\"means\"",
        "--set=evaluate.encoder_command='",
    ];
    world.evaluate("by-pixels", &[], &[]).refused(3, &refused);
    let given = format!("evaluate.encoder_command={command}");
    world.evaluate("by-pixels", &[], &[&given]).ok();
    for file in ["results.json", "results-beam-1.json"] {
        let results = |folder: &str| world.json(&format!("{folder}/{file}"));
        assert_eq!(results("by-pixels"), results("by-features"), "{file}");
    }
    let same = world.evaluate("by-pixels", &[], &[&given]).ok();
    assert!(same.log.contains("up to date"), "{}", same.log);

    let pictures: Vec<String> = (100..107).map(|id| world.picture(id)).collect();
    let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let refused = [command.as_str(), "\"means\"", "--encoder-command='"];
    world.caption(&pictures).refused(3, &refused);
    let given = format!("--encoder-command={command}");
    let described = world.caption(&[&[&*given], &pictures[..]].concat()).ok();
    let results = world.json("by-features/results.json");
    let expected: Vec<String> = (results.as_array().unwrap().iter())
        .map(|row| {
            format!(
                "{}.png\t{}",
                row["image_id"],
                row["caption"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(described.lines(), expected);
}

#[test]
fn a_program_that_fails_ends_captioning_with_one_message() {
    let world = World::new();
    world.train("model", FEATURES, &["train.epochs=1"]).ok();
    let picture = world.picture(100);
    let says = |command: &str, code: i32, words: &[&str]| {
        let given = format!("--encoder-command={command}");
        let ended = world
            .caption(&[&given, &picture, &picture])
            .refused(code, words);
        assert_eq!(ended.out, "");
    };
    says(
        "no-such-program",
        3,
        &["`no-such-program` can't be started", "on PATH"],
    );
    says(
        "sh -c 'echo no torch >&2; exit 4'",
        3,
        &["exit status: 4", "encoder: no torch", "image 1"],
    );
    says(&format!("{} nan", command()), 3, &["NaN or infinity"]);
    says(
        "unbalanced '",
        2,
        &["--encoder-command", "quoted as in a shell"],
    );
}

#[test]
fn what_a_foreign_network_can_not_do_is_refused_with_the_way_out() {
    let world = World::new();
    for encoder in ["fine-tune", "whole"] {
        let set = format!("train.encoder={encoder}");
        let words = [
            "the foreign network \"means\"",
            "set train.encoder = \"frozen\"",
        ];
        world.train("model", FEATURES, &[&set]).refused(2, &words);
    }
    world.train("model", FEATURES, &["train.epochs=1"]).ok();
    // It goes on from its model, with its features alone.
    let set = ["train.epochs=1", "decoder.grid=[0,0]"];
    let both = ["features=features", "model=model"];
    world.train("second", &both, &set).ok();
    world.verify("second");
    let words = [
        "\"means\", which the trainer can't run",
        "--input features=PATH",
    ];
    world
        .train("third", &["model=model"], &set)
        .refused(2, &words);
    world
        .train("third", &[], &["train.start=model"])
        .refused(2, &words);

    // Features of another network, or of another version of the program.
    let again = |name: &str, change: &dyn Fn(&mut Manifest)| {
        world.features(name);
        let mut manifest = Manifest::read(&world.path(name)).unwrap();
        change(&mut manifest);
        manifest.digest = manifest.compute_digest();
        let text = serde_json::to_string(&manifest).unwrap();
        std::fs::write(world.path(name).join("manifest.json"), text).unwrap();
    };
    again("newer", &|manifest| manifest.producer.version = "2".into());
    let newer = ["features=newer"];
    let words = ["newer: encoder ", "the foreign network \"means\""];
    world.evaluate("none", &newer, &[]).refused(4, &words);
    let both = ["features=newer", "model=model"];
    world
        .train("third", &both, &set)
        .refused(4, &["features of another encoder"]);
    assert!(!world.path("third").exists() && !world.path("none").exists());
}

#[test]
fn a_training_on_foreign_features_goes_on_where_it_was_interrupted() {
    let world = World::new();
    world.train("whole", FEATURES, &["train.epochs=6"]).ok();
    let mut child = world
        .train(
            "cut",
            FEATURES,
            &["train.epochs=6", "train.checkpoint_steps=1"],
        )
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !world
        .path("cut.staging/checkpoints/last/state.json")
        .exists()
    {
        assert!(begun.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process(Pid::from_child(&child), Signal::KILL);
    child.wait().unwrap();
    world
        .train(
            "cut",
            FEATURES,
            &["train.epochs=6", "train.checkpoint_steps=1"],
        )
        .ok();
    let decoder = |run: &str| -> Vec<u8> {
        std::fs::read(world.path(run).join("checkpoints/last/decoder.safetensors")).unwrap()
    };
    assert_eq!(decoder("cut"), decoder("whole"));
    // More epochs continue the finished one.
    let longer = world.train("whole", FEATURES, &["train.epochs=7"]).ok();
    assert!(longer.log.contains("going on after"), "{}", longer.log);
    world.verify("whole");
    // The mean of its epochs has no encoder, either.
    world
        .train("kept", FEATURES, &["train.epochs=3", "train.keep_last=3"])
        .ok();
    let mut average = program("attend-train");
    average.current_dir(world.folder.path());
    average.args(["average", "kept", "--output", "mean"]).ok();
    world.verify("mean");
}

#[test]
fn a_signal_ends_captioning_and_a_program_that_hangs() {
    let world = World::new();
    world.train("model", FEATURES, &["train.epochs=1"]).ok();
    let picture = world.picture(100);
    let hangs = "--encoder-command=sh -c 'echo $$ > pid; exec sleep 600'";
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let mut child = world
            .caption(&[hangs, &picture])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let pid = loop {
            let pid = std::fs::read_to_string(world.path("pid")).unwrap_or_default();
            if pid.ends_with('\n') {
                break pid.trim().to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(120));
        };
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), code);
        let is_there = || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            state.is_ok_and(|state| !state.contains(") Z "))
        };
        while is_there() {
            assert!(begun.elapsed() < Duration::from_secs(120));
        }
        std::fs::remove_file(world.path("pid")).unwrap();
    }
}

#[test]
fn a_torchscript_module_goes_into_checkpoints_and_is_loaded_for_pixels_alone() {
    let world = World::new();
    let side = SIDE as i64;
    let encoder = EncoderConfig::TorchScript(TorchScriptConfig {
        file: SCRIPT.into(),
        image_size: [side; 2],
        mean: [0.0; 3],
        std: [1.0; 3],
        output: Form::Map,
        skip: 0,
        grid: [2, 2],
        channels: 6,
    });
    let dataset = Artifact::open(&world.path("dataset")).unwrap();
    let file = b"no module: whoever loads it fails";
    features::write(
        &world.path("script"),
        &dataset,
        &encoder,
        file,
        &foreign::cells,
    );
    let script = ["features=script"];
    world.train("model", &script, &["train.epochs=1"]).ok();
    world.verify("model");
    for name in ["best", "last"] {
        let kept = std::fs::read(world.path(&format!("model/checkpoints/{name}/encoder.pt")));
        assert_eq!(kept.unwrap(), file);
    }
    world.evaluate("by-features", &script, &[]).ok();
    let words = ["checkpoints/best/encoder.pt: no TorchScript module"];
    world.evaluate("by-pixels", &[], &[]).refused(4, &words);
    // Another module of the same sizes is another encoder.
    std::fs::remove_dir_all(world.path("script")).unwrap();
    features::write(
        &world.path("script"),
        &dataset,
        &encoder,
        b"another",
        &foreign::cells,
    );
    let words = ["script: encoder ", "a TorchScript module"];
    world.evaluate("none", &script, &[]).refused(4, &words);
    let words = ["checkpoints/best/encoder.pt: no TorchScript module"];
    world
        .train("third", &["model=model"], &[])
        .refused(3, &words);
}

#[test]
fn a_resnet_takes_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let words = Vocabulary::new([("a".to_owned(), 1)], 1, 8);
    let card = checkpoint::card(&words, [SIDE as i64; 2], [0, 0]);
    checkpoint::write(folder.path(), card, &words, 3, false);
    let model = format!("--model={}", folder.path().display());
    let words = ["--encoder-command", "a ResNet, which needs no program"];
    (program("attend-caption").args([&*model, "--encoder-command=cat", "none.png"]))
        .refused(2, &words);
}
