//! `attend-train` as a program: it learns, is reproducible byte for byte, resumes after
//! being killed, and refuses inputs that don't belong together.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::vocabulary::{EncodedRecord, Tokenizer, Vocabulary};
use attend_artifact::{Artifact, Input, Manifest, Record, Staging};
use attend_model::{Arch, EncoderConfig, LastStage, ResNetConfig, encoder, weights};
use attend_testing::{DataSet, Split, features, vocabulary};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor, nn, no_grad};

#[path = "main/objectives.rs"]
mod objectives;
#[path = "main/torchscript.rs"]
mod torchscript;
#[path = "main/transfer.rs"]
mod transfer;
#[path = "main/views.rs"]
mod views;

const SIZE: usize = 32;
const COLOURS: [(&str, [u8; 3]); 3] = [
    ("red", [220, 30, 30]),
    ("green", [30, 200, 40]),
    ("blue", [20, 40, 210]),
];

/// Parameters of a data set of plain pictures.
struct World {
    /// Number of images of split val.
    validation: i64,
    /// The captions of an image of this id and colour.
    captions: fn(i64, &str) -> [String; 2],
    words: &'static str,
    tokenizer: Tokenizer,
}

const ENGLISH: World = World {
    validation: 6,
    captions: |_, name| {
        [
            format!("a plain {name} picture on paper"),
            format!("{name} all over the whole sheet"),
        ]
    },
    words: "a plain red green blue picture on paper all over the whole sheet",
    tokenizer: Tokenizer::LowercaseAlphanumeric,
};

/// A data set of plain pictures, each named by its colour, and its vocabulary.
fn world(folder: &Path, world: &World) -> (PathBuf, PathBuf) {
    let colour = |image_id: i64| COLOURS[(image_id % 100) as usize % COLOURS.len()];
    let split = |name, first, count| Split { name, first, count };
    let data = DataSet {
        side: SIZE,
        splits: &[split("train", 0, 24), split("val", 100, world.validation)],
        pixels: &|image_id| {
            let shade = (image_id % 17) as u8;
            let plane = |c: u8| vec![c.saturating_add(shade); SIZE * SIZE];
            colour(image_id).1.into_iter().flat_map(plane).collect()
        },
        captions: &|image_id| (world.captions)(image_id, colour(image_id).0).into(),
        objects: &[],
    };
    let dataset = data.write(&folder.join("dataset"));
    let words = world.words.split(' ').map(|word| (word.to_owned(), 1));
    let words = Vocabulary::new(words, 1, 50).with_tokenizer(world.tokenizer);
    let vocabulary = vocabulary::write(&folder.join("vocabulary"), &dataset, &words);
    (dataset.root, vocabulary.root)
}

/// Features of the pictures, by an encoder with random weights up to layer2.
fn write_features(folder: &Path, dataset: &Path) {
    let config = ResNetConfig {
        arch: Arch::Resnet18,
        last_stage: LastStage::Layer2,
        ..ResNetConfig::default()
    };
    let vars = nn::VarStore::new(Device::Cpu);
    let encoder = encoder::new(&vars.root(), &config);
    let cells = |pixels: &[u8]| -> Vec<f32> {
        let size = [1, 3, SIZE as i64, SIZE as i64];
        let pixels = Tensor::from_data_size(pixels, &size, Kind::Uint8);
        let cells = no_grad(|| encoder.encode(&pixels, false, Kind::Float).cells);
        cells.reshape([-1]).try_into().unwrap()
    };
    let file = tempfile::NamedTempFile::with_suffix(".safetensors").unwrap();
    weights::write(file.path(), &vars.variables().into_iter().collect()).unwrap();
    let file = std::fs::read(file.path()).unwrap();
    let dataset = Artifact::open(dataset).unwrap();
    features::write(
        folder,
        &dataset,
        &EncoderConfig::ResNet(config),
        &file,
        &cells,
    );
}

const CONFIG: &str = r#"
[encoder]
arch = "resnet18"
last_stage = "layer1"
[decoder]
embedding = 24
attention = 16
hidden = 32
dropout = 0.2
grid = [4, 4]
[train]
epochs = 8
batch = 8
captions_per_image = 2
encoder = "whole"
decoder_lr = 1e-2
encoder_lr = 1e-3
checkpoint_steps = 1
log_steps = 1
"#;

struct Trainer {
    folder: tempfile::TempDir,
    dataset: PathBuf,
    vocabulary: PathBuf,
}

impl Trainer {
    fn new() -> Trainer {
        Trainer::of(&ENGLISH)
    }

    fn of(of: &World) -> Trainer {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, vocabulary) = world(folder.path(), of);
        std::fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
        Trainer {
            folder,
            dataset,
            vocabulary,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, output: &str, set: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-train"));
        command
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(["--jobs", "1"]);
        command.arg(format!("--input=dataset={}", self.dataset.display()));
        command.arg(format!("--input=vocabulary={}", self.vocabulary.display()));
        command.arg("--output").arg(self.path(output));
        command.args(set.iter().map(|item| format!("--set={item}")));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, output: &str, set: &[&str]) -> (Manifest, String) {
        let result = self.command(output, set).output().unwrap();
        let log = log(&result);
        assert!(result.status.success(), "{log}");
        (Artifact::open(&self.path(output)).unwrap().manifest, log)
    }

    /// A validation score of each epoch.
    fn scores(&self, output: &str, key: &str) -> Vec<f64> {
        let lines = std::fs::read_to_string(self.path(output).join("metrics.jsonl")).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|line| line.get(key)?.as_f64())
            .collect()
    }

    fn refused(&self, set: &[&str], code: i32, words: &str) {
        let result = self.command("refused", set).output().unwrap();
        let log = log(&result);
        assert_eq!(result.status.code(), Some(code), "{log}");
        assert!(log.contains(words), "{log}");
    }
}

fn log_of(output: &Output) -> String {
    log(output)
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn validation_has_a_loss_if_the_vocabulary_encodes_its_captions() {
    let mut trainer = Trainer::new();
    let losses = |trainer: &Trainer, output: &str| {
        let lines = std::fs::read_to_string(trainer.path(output).join("metrics.jsonl")).unwrap();
        let of_val = lines
            .lines()
            .filter(|line| line.contains("\"split\":\"val\""));
        of_val
            .filter(|line| line.contains("\"cross_entropy\":"))
            .count()
    };
    let (_, log) = trainer.run("whole", &["train.epochs=2"]);
    assert_eq!(losses(&trainer, "whole"), 2);
    assert!(log.contains(" on val), "), "{log}");
    // Another program may encode the captions of train alone.
    let artifact = Artifact::open(&trainer.vocabulary).unwrap();
    let (words, mut encoded) = Vocabulary::open_encoded(&artifact).unwrap();
    encoded.retain(|caption| caption.split == "train");
    let digest = Artifact::open(&trainer.dataset).unwrap().manifest.digest;
    trainer.vocabulary = trainer.path("of-train");
    vocabulary::write_encoded(&trainer.vocabulary, &digest, &words, &encoded);
    let (_, log) = trainer.run("alone", &["train.epochs=2"]);
    assert_eq!(
        trainer.scores("alone", "bleu4"),
        trainer.scores("whole", "bleu4")
    );
    assert_eq!(losses(&trainer, "alone"), 0);
    assert!(!log.contains("NaN") && !log.contains(" on val), "), "{log}");
}

#[test]
fn it_learns_and_repeats_itself_to_the_byte() {
    let trainer = Trainer::new();
    let (first, log) = trainer.run("first", &["train.epochs=25"]);
    assert_eq!(first.counts["epochs"].min(25), first.counts["epochs"]);
    // As before other decoders could be chosen.
    assert!(first.config["decoder"].get("arch").is_none());
    assert!(first.config.get("transformer").is_none());
    let best = trainer
        .scores("first", "bleu4")
        .into_iter()
        .fold(0.0, f64::max);
    assert!(best > 0.99, "BLEU-4 {best}\n{log}");
    for name in [
        "model.json",
        "encoder.safetensors",
        "decoder.safetensors",
        "vocab.json",
        "state.json",
    ] {
        assert!(
            first.file(&format!("checkpoints/best/{name}")).is_some(),
            "{name}"
        );
        assert!(
            first.file(&format!("checkpoints/last/{name}")).is_some(),
            "{name}"
        );
    }
    let (second, log) = trainer.run("first", &["train.epochs=25"]);
    assert!(log.contains("up to date") && second == first, "{log}");
    let (elsewhere, _) = trainer.run("second", &["train.epochs=25", "train.checkpoint_steps=7"]);
    assert_eq!(elsewhere.digest, first.digest);
    let (other_seed, _) = trainer.run("third", &["train.epochs=1", "train.seed=2"]);
    assert_ne!(other_seed.digest, first.digest);
}

#[test]
fn a_killed_run_ends_bit_for_bit_like_one_that_was_not() {
    survives_kills(&Trainer::new(), &[], 30);
}

#[test]
fn a_killed_run_of_any_decoder_ends_bit_for_bit_like_one_that_was_not() {
    for arch in ["att2in", "up-down", "transformer"] {
        survives_kills(&Trainer::new(), &[&format!("decoder.arch={arch}")], 30);
    }
}

/// Kills the run this often.
fn survives_kills(trainer: &Trainer, set: &[&str], times: u64) {
    let started = Instant::now();
    let (whole, _) = trainer.run("whole", set);
    let time = started.elapsed().as_millis() as u64;
    // Kills at pseudo-random instants. A run that finishes before its kill is
    // compared, and another one is started.
    let (mut kills, mut runs) = (0u64, 0);
    while kills < times {
        let name = format!("killed-{runs}");
        let mut child = (trainer.command(&name, set))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let instant = 60 + kills.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (time / 2).max(1);
        std::thread::sleep(Duration::from_millis(instant));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
        if trainer.path(&name).exists() {
            let (resumed, log) = trainer.run(&name, set);
            assert_eq!(resumed.digest, whole.digest, "{log}");
            runs += 1;
        }
    }
    let (resumed, log) = trainer.run(&format!("killed-{runs}"), set);
    assert_eq!(resumed.digest, whole.digest, "{log}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let trainer = Trainer::new();
    let (whole, _) = trainer.run("whole", &[]);
    let mut child = (trainer.command("full", &[]))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let last = trainer.path("full.staging/checkpoints/last");
    while !last.join("state.json").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let state = |folder: &Path| -> Option<u64> {
        let text = std::fs::read(folder.join("state.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&text).ok()?["step"].as_u64()
    };
    let old = last.with_extension("old");
    let before = state(&last).or_else(|| state(&old)).unwrap();
    // No file may be larger than 32 KB: weights don't fit.
    let command = trainer.command("full", &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    let result = limited.output().unwrap();
    assert_eq!(result.status.code(), Some(1), "{}", log_of(&result));
    assert!(
        log_of(&result).contains("safetensors"),
        "{}",
        log_of(&result)
    );
    assert_eq!(state(&last), Some(before));
    let (resumed, log) = trainer.run("full", &[]);
    assert!(log.contains("going on after step"), "{log}");
    assert_eq!(resumed.digest, whole.digest, "{log}");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_to_go_on_from() {
    let trainer = Trainer::new();
    let (whole, _) = trainer.run("whole", &["train.checkpoint_steps=0"]);
    let child = trainer
        .command("stopped", &["train.checkpoint_steps=0"])
        .spawn()
        .unwrap();
    let metrics = trainer.path("stopped.staging/metrics.jsonl");
    while !metrics.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    let interrupt = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let result = child.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(130), "{}", log(&result));
    assert!(!trainer.path("stopped").exists());
    let (resumed, log) = trainer.run("stopped", &["train.checkpoint_steps=0"]);
    assert!(log.contains("going on after step"), "{log}");
    assert_eq!(resumed.digest, whole.digest);
}

/// Stops a run at the end of its first epoch or soon after it.
fn interrupted(trainer: &Trainer, output: &str, set: &[&str]) {
    let mut child = trainer.command(output, set).spawn().unwrap();
    let best = trainer.path(&format!("{output}.staging/checkpoints/best/state.json"));
    while !best.exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!trainer.path(output).exists(), "it was too quick");
}

#[test]
fn a_run_that_is_to_last_longer_goes_on_and_ends_like_one_of_that_length() {
    let trainer = Trainer::new();
    let lasting = |epochs: &'static str| [epochs, "train.keep_last=2"];
    let (whole, _) = trainer.run("whole", &lasting("train.epochs=6"));
    // A finished run is resumed.
    trainer.run("longer", &lasting("train.epochs=3"));
    let (longer, log) = trainer.run("longer", &lasting("train.epochs=6"));
    assert!(log.contains("going on after step 0 of epoch 4"), "{log}");
    assert_eq!(longer.digest, whole.digest);
    Artifact::open(&trainer.path("longer"))
        .unwrap()
        .verify()
        .unwrap();
    // An interrupted run is resumed with more or fewer epochs.
    for (name, first) in [("shorter", "train.epochs=50"), ("killed", "train.epochs=5")] {
        interrupted(&trainer, name, &lasting(first));
        let (resumed, log) = trainer.run(name, &lasting("train.epochs=6"));
        assert!(log.contains("going on after step"), "{log}");
        assert_eq!(resumed.digest, whole.digest, "{log}");
    }
    // A run that ended by `stop_patience` may keep fewer checkpoints.
    let impatient = [
        "train.epochs=6",
        "train.stop_patience=1",
        "train.keep_last=3",
        "train.decoder_lr=0",
        "train.encoder_lr=0",
    ];
    let patient = [
        "train.epochs=6",
        "train.stop_patience=3",
        "train.keep_last=2",
        "train.decoder_lr=0",
        "train.encoder_lr=0",
    ];
    let (first, _) = trainer.run("patience", &impatient);
    assert!(first.counts["epochs"] < 6);
    let (second, log) = trainer.run("patience", &patient);
    assert!(log.contains("going on after step 0"), "{log}");
    assert_eq!(second.digest, trainer.run("patient", &patient).0.digest);
}

/// Makes existing output look like two minutes of work.
fn age(folder: &Path) {
    let path = folder.join(".work.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut work: serde_json::Value = serde_json::from_str(&text).unwrap();
    work["seconds"] = 150.into();
    std::fs::write(path, work.to_string()).unwrap();
}

#[test]
fn a_training_of_other_parameters_is_never_deleted_without_leave() {
    let trainer = Trainer::new();
    let refused = |set: &[&str], words: &str| {
        let result = trainer.command("model", set).output().unwrap();
        let log = log_of(&result);
        assert_eq!(result.status.code(), Some(4), "{log}");
        assert!(log.contains(words), "{log}");
    };
    interrupted(&trainer, "model", &["train.epochs=50"]);
    let staging = trainer.path("model.staging");
    age(&staging);
    let state = || std::fs::read(staging.join("checkpoints/last/state.json")).unwrap();
    let before = state();
    refused(&["train.epochs=50", "train.seed=2"], "train.seed 1 -> 2");
    let cosine = ["train.epochs=40", "train.schedule=cosine"];
    refused(
        &cosine,
        "train.epochs 50 -> 40, train.schedule \"plateau\" -> \"cosine\"",
    );
    assert_eq!(state(), before);
    // Parameters that don't influence the weights.
    let logs = ["train.epochs=4", "train.log_steps=3"];
    let (first, log) = trainer.run("model", &logs);
    assert!(log.contains("going on after step"), "{log}");
    let (same, log) = trainer.run("model", &["train.epochs=4", "train.log_steps=7"]);
    assert!(log.contains("up to date") && same == first, "{log}");

    // The same for a finished run, whose state a run of fewer epochs would not reach.
    age(&trainer.path("model"));
    refused(&["train.epochs=2"], "train.epochs 4 -> 2");
    refused(
        &["train.epochs=4", "decoder.hidden=16"],
        "decoder.hidden 32 -> 16",
    );
    assert_eq!(
        Artifact::open(&trainer.path("model")).unwrap().manifest,
        first
    );
    let mut discard = trainer.command("model", &["train.epochs=2"]);
    let result = discard.arg("--discard").output().unwrap();
    assert!(result.status.success(), "{}", log_of(&result));
    // A cosine of another length is another curve.
    trainer.run("cosine", &["train.epochs=2", "train.schedule=cosine"]);
    let (_, log) = trainer.run("cosine", &["train.epochs=3", "train.schedule=cosine"]);
    assert!(!log.contains("going on"), "{log}");
}

#[test]
fn what_a_killed_run_has_left_is_not_committed() {
    let trainer = Trainer::new();
    let set = ["train.epochs=5", "train.keep_last=2", "train.keep_best=2"];
    let (whole, _) = trainer.run("whole", &set);
    // As if it had been killed after the last checkpoint, before it tidied up and
    // committed.
    let staging = trainer.path("killed.staging");
    let copy = |from: &Path, to: &Path| {
        let mut cp = Command::new("cp");
        assert!(cp.arg("-r").arg(from).arg(to).status().unwrap().success());
    };
    copy(&trainer.path("whole"), &staging);
    std::fs::remove_file(staging.join("manifest.json")).unwrap();
    let journal = staging.join(".journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let first = text.split_inclusive('\n').next().unwrap();
    std::fs::write(&journal, first).unwrap();
    let checkpoints = staging.join("checkpoints");
    for name in [
        "last.new",
        "last.old",
        "best.new",
        "epoch-00009",
        "epoch-00002.old",
    ] {
        copy(&checkpoints.join("last"), &checkpoints.join(name));
    }
    for epoch in 1..=3 {
        let name = checkpoints.join(format!("epoch-{epoch:05}"));
        if !name.exists() {
            copy(&checkpoints.join("last"), &name);
        }
    }
    // Between two renames.
    std::fs::rename(checkpoints.join("best"), checkpoints.join("best.old")).unwrap();
    std::fs::write(checkpoints.join("note.txt"), "x").unwrap();
    std::fs::write(staging.join("nohup.out"), "x").unwrap();
    for name in ["metrics.jsonl", "events.out.tfevents.0.attend"] {
        let mut text = std::fs::read(staging.join(name)).unwrap();
        text.extend(b"{\"step\": 99, half a li");
        std::fs::write(staging.join(name), text).unwrap();
    }
    let (resumed, log) = trainer.run("killed", &set);
    assert!(log.contains("going on after step 0 of epoch 6"), "{log}");
    assert_eq!(resumed, whole);
    Artifact::open(&trainer.path("killed"))
        .unwrap()
        .verify()
        .unwrap();
    assert!(!trainer.path("killed/checkpoints/epoch-00009").exists());
}

#[test]
fn average_replaces_no_thesis_and_not_the_run_that_it_reads() {
    let trainer = Trainer::new();
    let (run, _) = trainer.run("run", &["train.epochs=3", "train.keep_last=2"]);
    let average = |output: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-train"));
        command.arg("average").arg(trainer.path("run")).args(more);
        let result = command
            .arg("--output")
            .arg(trainer.path(output))
            .output()
            .unwrap();
        (result.status.code(), log_of(&result))
    };
    std::fs::create_dir(trainer.path("mine")).unwrap();
    std::fs::write(trainer.path("mine/thesis.txt"), "do not lose").unwrap();
    for more in [&[][..], &["--discard"]] {
        let (code, log) = average("mine", more);
        assert!(code == Some(4) && log.contains("not an artifact"), "{log}");
        assert!(trainer.path("mine/thesis.txt").exists());
        for output in ["run", "run/mean", "run/checkpoints/best", ""] {
            let (code, log) = average(output, more);
            assert!(
                code == Some(2) && log.contains("--output"),
                "{output}: {log}"
            );
        }
        let (code, log) = average("dataset", more);
        assert!(code == Some(4) && log.contains("kind \"dataset\""), "{log}");
    }
    let opened = Artifact::open(&trainer.path("run")).unwrap();
    opened.verify().unwrap();
    assert_eq!(opened.manifest, run);
    // Another model that took more than a minute.
    trainer.run("other", &["train.epochs=1"]);
    age(&trainer.path("other"));
    let (code, log) = average("other", &[]);
    assert!(code == Some(4) && log.contains("--discard"), "{log}");
    assert_eq!(average("other", &["--discard"]).0, Some(0));
    // Links are followed.
    std::os::unix::fs::symlink("elsewhere", trainer.path("link")).unwrap();
    assert_eq!(average("link", &[]).0, Some(0));
    assert!(trainer.path("link").is_symlink());
    assert!(trainer.path("elsewhere/manifest.json").is_file());
}

#[test]
fn weights_are_readable_by_whom_the_umask_says() {
    use std::os::unix::fs::PermissionsExt;
    let trainer = Trainer::new();
    interrupted(&trainer, "model", &["train.epochs=50"]);
    let last = trainer.path("model.staging/checkpoints/last");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let plain = mode(&trainer.path("config.toml"));
    for name in ["decoder.safetensors", "optimizer.safetensors", "state.json"] {
        assert_eq!(mode(&last.join(name)), plain, "{name}");
    }
    trainer.run("model", &["train.epochs=2"]);
    assert_eq!(
        mode(&trainer.path("model/checkpoints/best/encoder.safetensors")),
        plain
    );
}

const OPTIONS: [&str; 11] = [
    "train.epochs=5",
    "train.accumulate=2",
    "train.clip_norm=1.0",
    "train.weight_decay=0.01",
    "train.label_smoothing=0.1",
    "train.sampling=0.5",
    "train.sampling_rise=0.25",
    "train.schedule=step",
    "train.decay_epochs=2",
    "train.keep_last=2",
    "train.keep_best=2",
];

#[test]
fn options_work_together_and_resume() {
    let trainer = Trainer::new();
    let (whole, log) = trainer.run("whole", &OPTIONS);
    assert_eq!(whole.counts["steps"], 5 * 3, "two batches a step\n{log}");
    let mut n = 0;
    while !trainer.path("killed").exists() {
        let mut child = trainer
            .command("killed", &OPTIONS)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + 130 * n));
        let _ = child.kill();
        child.wait().unwrap();
        n += 1;
    }
    assert!(n >= 3, "only {n} kills");
    let (resumed, log) = trainer.run("killed", &OPTIONS);
    assert_eq!(resumed.digest, whole.digest, "{log}");

    // The last two epochs and the two best ones are kept and can be averaged.
    let folder = trainer.path("whole/checkpoints");
    let state = std::fs::read_to_string(folder.join("last/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let scores: Vec<f64> = serde_json::from_value(state["scores"].clone()).unwrap();
    let mut best: Vec<usize> = (0..5).collect();
    best.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let kept = |epoch: usize| epoch >= 3 || best[..2].contains(&epoch);
    for epoch in 0..5 {
        let name = format!("epoch-{:05}", epoch + 1);
        assert_eq!(
            folder.join(name).exists(),
            kept(epoch),
            "{epoch} {scores:?}"
        );
    }
    let average = |of: &[PathBuf]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-train"));
        command
            .arg("average")
            .args(of)
            .arg("--output")
            .arg(trainer.path("mean"));
        command.output().unwrap()
    };
    let done = average(&[trainer.path("whole")]);
    assert!(done.status.success(), "{}", log_of(&done));
    let mean = Artifact::open(&trainer.path("mean")).unwrap();
    mean.verify().unwrap();
    assert_eq!(mean.manifest.inputs["dataset"], whole.inputs["dataset"]);
    let epochs = (0..5).filter(|epoch| kept(*epoch));
    let epochs: Vec<PathBuf> = epochs
        .map(|n| folder.join(format!("epoch-{:05}", n + 1)))
        .collect();
    let read = |folder: &Path| {
        let path = folder.join("decoder.safetensors");
        attend_model::weights::read(&path)
            .unwrap()
            .remove("fc.weight")
            .unwrap()
    };
    let sum = epochs
        .iter()
        .map(|folder| read(folder))
        .reduce(|sum, one| sum + one);
    let off = read(&trainer.path("mean/checkpoints/best")) - sum.unwrap() / epochs.len() as f64;
    assert!(off.abs().max().double_value(&[]) < 1e-6);
    let refused = average(&epochs[..1]);
    assert_eq!(refused.status.code(), Some(3), "{}", log_of(&refused));
    assert!(log_of(&refused).contains("train.keep_last"));
}

#[test]
fn a_run_begins_where_another_ended_and_with_given_embeddings() {
    let trainer = Trainer::new();
    trainer.run("first", &["train.epochs=2"]);
    let start = format!("train.start={}", trainer.path("first").display());
    let still = [
        "train.epochs=1",
        "train.decoder_lr=0",
        "train.encoder_lr=0",
        &start,
    ];
    trainer.run("second", &still);
    let decoder = |run: &str| {
        let path = trainer
            .path(run)
            .join("checkpoints/best/decoder.safetensors");
        attend_model::weights::read(&path).unwrap()
    };
    assert_eq!(decoder("second"), decoder("first"));
    // A run's folder stands for its model.
    let run = trainer.path("run");
    std::fs::create_dir(&run).unwrap();
    std::os::unix::fs::symlink(trainer.path("first"), run.join("model")).unwrap();
    let of_run = format!("train.start={}", run.display());
    trainer.run("of-run", &[&still[..3], &[&of_run]].concat());
    assert_eq!(decoder("of-run"), decoder("first"));
    // Also for one that is still in training.
    std::fs::create_dir(trainer.path("growing")).unwrap();
    interrupted(&trainer, "growing/model", &[]);
    let growing = format!("train.start={}", trainer.path("growing").display());
    let (_, log) = trainer.run("of-growing", &[&still[..3], &[&growing]].concat());
    assert!(log.contains("the training is not finished"), "{log}");
    assert_eq!(decoder("of-growing"), decoder("growing/model.staging"));

    let vectors = trainer.path("vectors.txt");
    let line = |word: &str, first: f32| format!("{word} {first}{}\n", " 0.5".repeat(23));
    std::fs::write(&vectors, line("red", 0.25) + &line("unheard", 9.0)).unwrap();
    let embeddings = format!("decoder.embeddings={}", vectors.display());
    let set = [
        "train.epochs=1",
        "decoder.freeze_embeddings=true",
        &embeddings,
    ];
    let (_, log) = trainer.run("third", &set);
    assert!(log.contains("embeddings of 1 of 13 words"), "{log}");
    let mut expected = vec![0.5f32; 24];
    expected[0] = 0.25;
    let row = decoder("third")["embedding.weight"].get(3); // a plain red
    assert_eq!(Vec::<f32>::try_from(row).unwrap(), expected);
    trainer.run("fourth", &[&set[..], &["decoder.arch=att2in"]].concat());
    let row = decoder("fourth")["embed.0.weight"].get(3);
    assert_eq!(Vec::<f32>::try_from(row).unwrap(), expected);

    trainer.refused(
        &["train.start=/no/such/model"],
        3,
        "neither a run, a model artifact",
    );
    trainer.refused(&["decoder.embedding=8", &start], 4, "decoder.safetensors");
    trainer.refused(
        &["decoder.arch=att2in", &start],
        4,
        "its decoder is attention-lstm, but decoder.arch = \"att2in\"",
    );
    trainer.refused(&["decoder.embeddings=/no/such.txt"], 3, "no such file");
    trainer.refused(
        &["decoder.embedding=8", &embeddings],
        3,
        "vectors.txt, line 1",
    );
}

#[test]
fn a_model_trained_on_features_goes_on_from_pixels_with_its_encoder() {
    let trainer = Trainer::new();
    write_features(&trainer.path("features"), &trainer.dataset);
    let train = |output: &str, inputs: &[&str], set: &[&str]| {
        let mut command = trainer.command(output, set);
        for kind in inputs {
            let path = trainer.path(kind);
            command.arg(format!("--input={kind}={}", path.display()));
        }
        let result = command.output().unwrap();
        (result.status.code(), log_of(&result))
    };
    let frozen = ["train.encoder=frozen", "train.epochs=2"];
    let (code, log) = train("model", &["features"], &frozen);
    assert_eq!(code, Some(0), "{log}");

    // [encoder] goes up to layer1 and names weights, but the model's own encoder is used.
    let still = [
        "train.encoder=fine-tune",
        "train.epochs=1",
        "train.decoder_lr=0",
        "train.encoder_lr=0",
        "encoder.weights=/no/such.pth",
    ];
    let (code, log) = train("tuned", &["model"], &still);
    assert_eq!(code, Some(0), "{log}");
    let best = |run: &str, file: &str| trainer.path(run).join("checkpoints/best").join(file);
    for file in ["decoder.safetensors", "encoder.safetensors"] {
        let [first, second] = ["model", "tuned"].map(|run| weights::read(&best(run, file)));
        assert_eq!(second.unwrap(), first.unwrap(), "{file}");
    }
    let manifest = |run: &str| Artifact::open(&trainer.path(run)).unwrap().manifest;
    let inputs = manifest("tuned").inputs;
    let names: Vec<&str> = inputs.keys().map(String::as_str).collect();
    assert_eq!(names, ["dataset", "model", "vocabulary"]);
    assert_eq!(inputs["model"].digest, manifest("model").digest);

    // With other learning rates, the encoder is trained from layer2 on.
    let learning = ["train.encoder=fine-tune", "train.epochs=1"];
    let (code, log) = train("learnt", &["model"], &learning);
    assert_eq!(code, Some(0), "{log}");
    let encoder = |run: &str| weights::read(&best(run, "encoder.safetensors")).unwrap();
    let (before, after) = (encoder("model"), encoder("learnt"));
    for (layer, learns) in [("layer1", false), ("layer2", true)] {
        let name = format!("{layer}.0.conv1.weight");
        assert_eq!(before[&name] != after[&name], learns, "{name}");
    }

    let start = format!("train.start={}", trainer.path("model").display());
    let (code, log) = train("refused", &["model"], &[&start]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("two models to begin with"), "{log}");
    std::fs::rename(trainer.path("model"), trainer.path("frozen")).unwrap();
    std::fs::rename(trainer.path("learnt"), trainer.path("model")).unwrap();
    let (code, log) = train("refused", &["features", "model"], &frozen);
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("features of another encoder"), "{log}");
}

#[test]
fn a_loss_that_is_no_number_is_named_and_harms_nothing() {
    let trainer = Trainer::new();
    let set = ["train.clip=0", "train.decoder_lr=1e18", "train.epochs=2"];
    let result = trainer.command("broken", &set).output().unwrap();
    let log = log_of(&result);
    assert_eq!(result.status.code(), Some(1), "{log}");
    assert!(
        log.contains("the loss of step") && log.contains("on images ["),
        "{log}"
    );
    assert!(log.contains("not_finite"), "{log}");
    let state = trainer.path("broken.staging/checkpoints/last/state.json");
    assert!(state.exists(), "{log}");
    let set = [&set[..], &["train.not_finite=skip"]].concat();
    let result = trainer.command("skipped", &set).output().unwrap();
    let log = log_of(&result);
    assert!(log.contains("step skipped"), "{log}");
}

/// Words without spaces between them: references are split as the model's captions are.
#[test]
fn validation_reads_han_as_evaluation_does() {
    let trainer = Trainer::of(&World {
        captions: |_, name| {
            let name = match name {
                "red" => "红",
                "green" => "绿",
                _ => "蓝",
            };
            [
                format!("一张{name}色的图片。"),
                format!("纸上全是{name}色。"),
            ]
        },
        words: "一 张 红 绿 蓝 色 的 图 片 纸 上 全 是",
        tokenizer: Tokenizer::UnicodeWords,
        ..ENGLISH
    });
    trainer.run("out", &["train.epochs=12"]);
    let best = trainer
        .scores("out", "bleu4")
        .into_iter()
        .fold(0.0, f64::max);
    assert!(best > 0.5, "{best}");
}

#[test]
fn a_cider_that_can_only_be_0_does_not_choose_the_best_epoch() {
    let trainer = Trainer::of(&World {
        validation: 1,
        ..ENGLISH
    });
    let (_, log) = trainer.run("out", &["train.epochs=10", "train.stop_patience=9"]);
    assert!(
        log.contains("CIDEr of split \"val\" is 0 for any captions"),
        "{log}"
    );
    assert!(
        trainer
            .scores("out", "cider")
            .iter()
            .all(|cider| *cider == 0.0)
    );
    let bleu4 = trainer.scores("out", "bleu4");
    let best = bleu4.iter().copied().fold(0.0, f64::max);
    let state = trainer.path("out/checkpoints/best/state.json");
    let state: serde_json::Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    let epoch = state["epoch"].as_u64().unwrap() as usize;
    assert!(
        best > bleu4[0] && bleu4[epoch - 1] == best,
        "{epoch} of {bleu4:?}"
    );
    // the same with several images that all have the same captions
    let trainer = Trainer::of(&World {
        captions: |_, _| ["a plain sheet".into(), "paper".into()],
        ..ENGLISH
    });
    let (_, log) = trainer.run("out", &["train.epochs=1"]);
    assert!(log.contains("choosing the best epoch by BLEU-4"), "{log}");
    // a proper validation split: CIDEr, without a warning
    let (_, log) = Trainer::new().run("out", &["train.epochs=1"]);
    assert!(
        log.contains("CIDEr on val") && !log.contains("for any captions"),
        "{log}"
    );
}

#[test]
fn the_data_of_meteor_is_missed_before_anything_is_read() {
    let trainer = Trainer::new();
    let mut command = trainer.command("out", &["train.stop_metric=meteor"]);
    let result = command.env("ATTEND_METEOR", "none").output().unwrap();
    assert_eq!(result.status.code(), Some(3), "{}", log(&result));
    assert!(log(&result).contains("cargo xtask setup --meteor"));
    assert!(!trainer.path("out.staging").exists());
}

/// Files in the format of METEOR's data, with these function words.
fn meteor(folder: &Path, functions: &str) {
    let jar = std::fs::File::create(folder.join("meteor-1.5.jar")).unwrap();
    let mut jar = zip::ZipWriter::new(jar);
    for (name, text) in [
        ("function/english.words", functions),
        ("nonbreaking/english.prefixes", "Mr\n"),
        ("synonym/english.synsets", "red\n1\n"),
        ("synonym/english.exceptions", "men\nman\n"),
    ] {
        jar.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        jar.write_all(text.as_bytes()).unwrap();
    }
    jar.finish().unwrap();
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let table = std::fs::File::create(folder.join("data/paraphrase-en.gz")).unwrap();
    let mut table = flate2::write::GzEncoder::new(table, flate2::Compression::fast());
    table.write_all(b"0.1\nmany\nplenty of\n").unwrap();
    table.finish().unwrap();
    let _ = std::fs::remove_file(folder.join("english.meteor"));
}

/// Other data of METEOR choose another epoch, so the model is made again.
#[test]
fn the_data_of_meteor_is_an_input_of_a_model_that_it_chose() {
    let trainer = Trainer::new();
    let data = trainer.path("meteor");
    std::fs::create_dir(&data).unwrap();
    let run = || {
        let mut command = trainer.command("out", &["train.stop_metric=meteor", "train.epochs=1"]);
        let result = command.env("ATTEND_METEOR", &data).output().unwrap();
        assert!(result.status.success(), "{}", log(&result));
        let manifest = Artifact::open(&trainer.path("out")).unwrap().manifest;
        (manifest.inputs["meteor"].digest.clone(), log(&result))
    };
    meteor(&data, "a\non\n");
    let (first, _) = run();
    let (same, again) = run();
    assert!(same == first && again.contains("up to date"), "{again}");
    meteor(&data, "a\non\nthe\n");
    assert_ne!(run().0, first);
    let (plain, _) = trainer.run("plain", &["train.epochs=1"]);
    assert!(!plain.inputs.contains_key("meteor"));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let mut trainer = Trainer::new();
    trainer.refused(&["train.batch=1"], 2, "captions_per_image");
    trainer.refused(&["train.device=cuda:99x"], 2, "cuda:99x");
    let transformer = "decoder.arch=transformer";
    for (set, named) in [
        ("train.sampling=0.1", "set train.sampling = 0"),
        (
            "transformer.heads=3",
            "multiple of 4 and of transformer.heads = 3",
        ),
        (
            "transformer.decoder_layers=0",
            "decoder_layers = 0 is not in 1..=64",
        ),
    ] {
        trainer.refused(&[transformer, set], 2, named);
    }
    trainer.refused(&["train.epohcs=1"], 2, "nearest is `epochs`");
    trainer.refused(&["train.validation_split=test"], 3, "it has train, val");
    trainer.refused(&["encoder.weights=/no/such.pth"], 3, "no such file");
    let text = trainer.path("text.pth");
    std::fs::write(&text, "no weights").unwrap();
    trainer.refused(
        &[&format!("encoder.weights={}", text.display())],
        3,
        "text.pth",
    );

    let words = Vocabulary::new([("a".to_owned(), 1)], 1, 50);
    let other = trainer.path("other-vocabulary");
    vocabulary::write_encoded(&other, "another data set", &words, &[]);
    let right = std::mem::replace(&mut trainer.vocabulary, other.clone());
    trainer.refused(&[], 4, "was made from data set another data");
    let digest = Artifact::open(&trainer.dataset).unwrap().manifest.digest;
    vocabulary::write_encoded(&other, &digest, &words, &[]);
    trainer.refused(&[], 3, "nothing to train on");
    // Ids of another program were passed to libtorch unchecked, which ended in a panic.
    let artifact = Artifact::open(&trainer.dataset).unwrap();
    let images = ImageRecord::read(&artifact.file("images.parquet").unwrap()).unwrap();
    let known = images.iter().find(|image| image.split == "train").unwrap();
    let (start, end) = (words.start() as i32, words.end() as i32);
    for (image_id, split, id, why) in [
        (
            known.image_id,
            "train",
            99_999,
            "99999 is neither the id of a word",
        ),
        (known.image_id, "train", -5, "-5 is neither the id of"),
        (-7, "train", 1, "the data set has no such image"),
        (known.image_id, "val", 1, "but its image is in \"train\""),
    ] {
        let caption = EncodedRecord {
            caption_id: 1,
            image_id,
            split: split.into(),
            tokens: vec![start, id, end],
        };
        vocabulary::write_encoded(&other, &digest, &words, &[caption]);
        trainer.refused(&[], 4, why);
    }
    trainer.vocabulary = right;

    let shard = trainer.dataset.join("shards/train-00000.arrow");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    trainer.refused(&[], 4, "shards/train-00000.arrow");
    assert!(!trainer.path("refused").exists());
}

#[test]
fn a_frozen_encoder_of_random_numbers_is_refused() {
    let trainer = Trainer::new();
    let frozen = "train.encoder=frozen";
    trainer.refused(&[frozen], 2, "without encoder.weights");
    // With weights, or with the model of another run, the encoder is not random.
    let (_, log) = trainer.run("first", &["train.epochs=1"]);
    assert!(!log.contains("random weights"), "{log}");
    let start = format!("train.start={}", trainer.path("first").display());
    trainer.run("started", &[frozen, &start, "train.epochs=1"]);
    let file = trainer.path("first/checkpoints/best/encoder.safetensors");
    let weights = format!("encoder.weights={}", file.display());
    trainer.run("weighed", &[frozen, &weights, "train.epochs=1"]);
    let (_, log) = trainer.run("tuned", &["train.encoder=fine-tune", "train.epochs=1"]);
    assert!(log.contains("keep random weights"), "{log}");
}

/// Flips one bit among a file's last numbers.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() - 2;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_neither_begun_with_nor_averaged_nor_resumed() {
    let trainer = Trainer::new();
    trainer.run("first", &["train.epochs=2", "train.keep_last=2"]);
    let best = trainer.path("first/checkpoints/best");
    let start = format!("train.start={}", best.display());
    for file in ["decoder.safetensors", "encoder.safetensors"] {
        let whole = std::fs::read(best.join(file)).unwrap();
        flip(&best.join(file));
        trainer.refused(&[&start], 4, &format!("{file}: damaged"));
        let mut command = trainer.command("refused", &["train.verify=false"]);
        command.arg(format!("--input=model={}", trainer.path("first").display()));
        let result = command.output().unwrap();
        assert_eq!(result.status.code(), Some(4), "{}", log_of(&result));
        std::fs::write(best.join(file), whole).unwrap();
    }
    let average = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-train"));
        command.arg("average").arg(trainer.path("first"));
        command
            .arg("--output")
            .arg(trainer.path("mean"))
            .output()
            .unwrap()
    };
    let result = average();
    assert!(result.status.success(), "{}", log_of(&result));
    let mean = trainer.path("mean/checkpoints/best");
    attend_artifact::model::Checkpoint::open(&mean)
        .unwrap()
        .check()
        .unwrap();
    std::fs::remove_dir_all(trainer.path("mean")).unwrap();
    flip(&trainer.path("first/checkpoints/epoch-00001/decoder.safetensors"));
    let result = average();
    assert_eq!(result.status.code(), Some(4), "{}", log_of(&result));
    assert!(
        log_of(&result).contains("epoch-00001"),
        "{}",
        log_of(&result)
    );

    // A run that was killed resumes from what it wrote, or refuses.
    let mut child = (trainer.command("killed", &[]).stderr(Stdio::null()))
        .spawn()
        .unwrap();
    let last = trainer.path("killed.staging/checkpoints/last");
    while !last.join("state.json").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if !last.exists() {
        std::fs::rename(last.with_extension("old"), &last).unwrap();
    }
    flip(&last.join("optimizer.safetensors"));
    let result = trainer.command("killed", &[]).output().unwrap();
    assert_eq!(result.status.code(), Some(4), "{}", log_of(&result));
    assert!(
        log_of(&result).contains("optimizer.safetensors: damaged"),
        "{}",
        log_of(&result)
    );
}

/// Features by another program from `dataset`: the same number everywhere, and the files
/// of an encoder.
struct Foreign<'a> {
    shape: [usize; 2],
    grid: [u64; 2],
    number: f32,
    encoder_json: &'a str,
    weights: ResNetConfig,
}

impl Foreign<'_> {
    fn write(&self, folder: &Path, dataset: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        let dataset = Artifact::open(dataset).unwrap();
        let mut draft = Manifest::draft("features", "another-program", "1");
        let origin = Input {
            kind: "dataset".into(),
            digest: dataset.manifest.digest.clone(),
        };
        draft.inputs.insert("dataset".into(), origin);
        let staging = Staging::open(folder, draft).unwrap();
        let name = "shards/all.arrow";
        let path = staging.path(name).unwrap();
        let names = ["cell", "channel"];
        let mut writer =
            TensorShardWriter::create(&path, "features", Dtype::F32, &self.shape, &names).unwrap();
        let row = self
            .number
            .to_ne_bytes()
            .repeat(self.shape.iter().product());
        for image in Dataset::open(&dataset).unwrap().images() {
            writer.push(image.image_id, &row).unwrap();
        }
        writer.finish().unwrap();
        staging.done(name, None).unwrap();
        std::fs::write(staging.path("encoder.json").unwrap(), self.encoder_json).unwrap();
        let vars = nn::VarStore::new(Device::Cpu);
        encoder::new(&vars.root(), &self.weights);
        let path = staging.path("encoder.safetensors").unwrap();
        weights::write(&path, &vars.variables().into_iter().collect()).unwrap();
        for name in ["encoder.json", "encoder.safetensors"] {
            staging.done(name, None).unwrap();
        }
        let [height, width] = self.grid;
        let channels = self.shape[1] as u64;
        let counts = [
            ("grid_height", height),
            ("grid_width", width),
            ("channels", channels),
        ];
        staging.commit(&counts).unwrap();
    }
}

#[test]
fn features_that_do_not_fit_their_encoder_are_refused() {
    let trainer = Trainer::new();
    let path = trainer.path("features");
    let resnet18 = |last_stage| ResNetConfig {
        arch: Arch::Resnet18,
        last_stage,
        ..ResNetConfig::default()
    };
    let json = r#"{"arch": "resnet18", "last_stage": "layer2", "stride_in": "conv3x3"}"#;
    let good = || Foreign {
        shape: [16, 128],
        grid: [4, 4],
        number: 0.5,
        encoder_json: json,
        weights: resnet18(LastStage::Layer2),
    };
    let train = || {
        let set = ["train.encoder=frozen", "train.epochs=1"];
        let mut command = trainer.command("model", &set);
        command.arg(format!("--input=features={}", path.display()));
        let result = command.output().unwrap();
        (result.status.code(), log_of(&result))
    };
    for (features, words) in [
        (
            Foreign {
                shape: [16, 160],
                ..good()
            },
            "160 channels",
        ),
        (
            Foreign {
                shape: [4, 128],
                grid: [2, 2],
                ..good()
            },
            "2 x 2 cells",
        ),
        (
            Foreign {
                grid: [2, 8],
                ..good()
            },
            "2 x 8 cells",
        ),
        (
            Foreign {
                number: f32::NAN,
                ..good()
            },
            "image 0 are NaN",
        ),
        (
            Foreign {
                weights: resnet18(LastStage::Layer1),
                ..good()
            },
            "encoder.safetensors",
        ),
        (
            Foreign {
                encoder_json: &json.replace('}', r#", "mean": 0}"#),
                ..good()
            },
            "encoder.json: holds mean",
        ),
        (
            Foreign {
                encoder_json: &json.replace(r#""arch": "resnet18", "#, ""),
                ..good()
            },
            "encoder.json: lacks arch",
        ),
        (
            Foreign {
                encoder_json: "[]",
                ..good()
            },
            "encoder.json",
        ),
    ] {
        features.write(&path, &trainer.dataset);
        let (code, log) = train();
        assert_eq!(code, Some(4), "{log}");
        assert!(log.contains(words) && log.contains("features"), "{log}");
        assert!(!trainer.path("model").exists());
    }
    good().write(&path, &trainer.dataset);
    let (code, log) = train();
    assert_eq!(code, Some(0), "{log}");
}
