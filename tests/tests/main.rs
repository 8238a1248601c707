//! Tests whole pipelines, run as a user runs them: made, made again, killed, misused.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// The folder of all programs, as `cargo test --workspace` has built them.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    for name in ["xtask", "attend-verify", "attend-scenes", "attend-caption"] {
        let there = folder.join(name).is_file();
        assert!(
            there,
            "no {name} in {}: run cargo test --workspace",
            folder.display()
        );
    }
    folder
});

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// A small version of the demo: a few scenes, a tiny network, one epoch.
const SMALL: [&str; 10] = [
    "scenes.train=40",
    "scenes.val=6",
    "scenes.test=8",
    "scenes.image_size=32",
    "dataset.image_size=32",
    "decoder.hidden=32",
    "decoder.grid=[0,0]",
    "train.epochs=2",
    "train.checkpoint_steps=1",
    "search.beams=[1,3]",
];

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        World {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `cargo xtask WORDS`, with artifacts in this world's folder.
    fn xtask(&self, words: &[&str], set: &[&str]) -> Command {
        let mut command = Command::new(PROGRAMS.join("xtask"));
        command
            .args(words)
            .arg("--artifacts")
            .arg(self.folder.path());
        command.args(set.iter().map(|item| format!("--set={item}")));
        command
            .env("ATTEND_BIN_DIR", &*PROGRAMS)
            .current_dir(root());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn demo(&self, name: &str, more: &[&str]) -> Command {
        self.demo_with(1, name, more)
    }

    fn demo_with(&self, jobs: usize, name: &str, more: &[&str]) -> Command {
        let mut command = self.xtask(&["run", "demo", "--config", "configs/demo.toml"], &SMALL);
        command.arg(format!("--jobs={jobs}"));
        command.arg(format!("--set=run.name={name}")).args(more);
        command
    }

    fn manifest(&self, name: &str) -> Value {
        let path = self.path(name).join("manifest.json");
        serde_json::from_slice(
            &std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        )
        .unwrap()
    }

    fn digests(&self, run: &str) -> Vec<String> {
        STAGES
            .iter()
            .map(|kind| self.manifest(&format!("{run}/{kind}"))["digest"].to_string())
            .collect()
    }
}

const STAGES: [&str; 5] = ["scenes", "dataset", "vocabulary", "model", "evaluation"];

fn ok(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let (out, log) = texts(&output);
    assert!(output.status.success(), "{out}\n{log}");
    (out, log)
}

fn fails(mut command: Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let (out, log) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{out}\n{log}");
    for words in words {
        assert!(log.contains(words), "no {words:?} in:\n{log}");
    }
}

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_pipeline_is_made_once_and_says_the_same_again() {
    let world = World::new();
    let (out, _) = ok(world.demo("one", &[]));
    assert!(out.contains("BLEU") || out.contains("bleu"), "{out}");
    let first = world.digests("one");
    let paths: Vec<PathBuf> = STAGES
        .iter()
        .map(|kind| world.path(&format!("one/{kind}")))
        .collect();
    ok({
        let mut verify = Command::new(PROGRAMS.join("attend-verify"));
        verify.args(&paths);
        verify
    });

    let (again, log) = ok(world.demo("one", &[]));
    assert_eq!(log.matches("up to date").count(), STAGES.len(), "{log}");
    assert!(
        again.contains("BLEU"),
        "what was printed is shown again: {again}"
    );
    let kept = std::fs::read_to_string(world.path("one/logs/train.log")).unwrap();
    assert!(kept.contains("epoch 2: "), "{kept}");
    assert_eq!(world.digests("one"), first);

    // In another folder, and with two threads in stages that sum no floats.
    ok(world.demo_with(2, "two", &["--until=vocab"]));
    ok(world.demo("two", &[]));
    assert_eq!(world.digests("two"), first);

    // After a change of the last stage's parameter, only that stage runs again.
    let (_, log) = ok(world.demo("one", &["--set=search.beams=[3]"]));
    assert_eq!(log.matches("up to date").count(), STAGES.len() - 1, "{log}");

    // Every test image is scored once.
    let scores: Value =
        serde_json::from_slice(&std::fs::read(world.path("two/evaluation/scores.json")).unwrap())
            .unwrap();
    assert_eq!(scores["images"], 8);
    let results: Value =
        serde_json::from_slice(&std::fs::read(world.path("two/evaluation/results.json")).unwrap())
            .unwrap();
    assert_eq!(results.as_array().unwrap().len(), 8);

    // The captioner needs only its model folder.
    let model = world.path("elsewhere");
    let place = std::fs::canonicalize(world.path("two/model")).unwrap();
    std::fs::rename(place, &model).unwrap();
    let mut caption = Command::new(PROGRAMS.join("attend-caption"));
    caption
        .arg("--model")
        .arg(&model)
        .arg("--attention")
        .arg(world.path("attention"))
        .args((1..=3).map(|n| world.path(&format!("one/scenes/images/scene_{n:06}.png"))));
    let (out, _) = ok(caption);
    assert_eq!(out.lines().count(), 3);
    assert_eq!(world.path("attention").read_dir().unwrap().count(), 3);
}

/// The processes of a group, except its leader.
fn others(group: u32) -> Vec<rustix::process::Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of_group = processes.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (pid, rest) = (stat.split(' ').next()?, stat.rsplit_once(") ")?.1);
        let rest: Vec<&str> = rest.split(' ').collect();
        let is_alive = rest[0] != "Z" && rest[2] == group.to_string();
        let pid: i32 = pid.parse().ok()?;
        (is_alive && pid != group as i32).then(|| rustix::process::Pid::from_raw(pid))?
    });
    of_group.collect()
}

/// What `status` has to say of an artifact that is made for the first time.
fn state(place: &Path) -> &'static str {
    let staging = place.with_file_name(format!(
        "{}.staging",
        place.file_name().unwrap().to_string_lossy()
    ));
    let is_file = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        !name.to_string_lossy().starts_with('.')
    };
    let begun = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.into_iter().any(is_file)
    };
    match place.join("manifest.json").is_file() {
        true => "fresh",
        false if begun(&staging) => "unfinished",
        false => "missing",
    }
}

/// Kills the runner, the stages or both, thirty times, each time somewhere else.
#[test]
fn a_pipeline_that_is_killed_again_and_again_ends_the_same() {
    use rustix::process::{Pid, Signal, kill_process, kill_process_group};
    let (undisturbed, world) = (World::new(), World::new());
    ok(undisturbed.demo("run", &[]));
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut kills = 0;
    while kills < 30 {
        // Begin anew now and then: otherwise all is made after a few kills.
        if world.path("run/evaluation/manifest.json").is_file() {
            assert_eq!(world.digests("run"), undisturbed.digests("run"));
            std::fs::remove_dir_all(world.path(".store")).unwrap();
        }
        let mut child = world
            .demo("run", &[])
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + next(1500)));
        if child.try_wait().unwrap().is_some() {
            continue;
        }
        let group = Pid::from_child(&child);
        match next(3) {
            // The stage goes on when its runner dies.
            0 => kill_process(group, Signal::KILL).unwrap(),
            1 => drop(kill_process_group(group, Signal::KILL)),
            _ => {
                for stage in others(child.id()) {
                    let _ = kill_process(stage, Signal::KILL);
                }
            }
        }
        child.wait().unwrap();
        kills += 1;
        let told = || {
            let (out, _) = ok(world.xtask(&["status", "--json"], &[]));
            let json: Value = serde_json::from_str(&out).unwrap();
            json["run"]["stages"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        while !others(child.id()).is_empty() {
            let states = told();
            let running = |stage: &&Value| stage["state"] == "running";
            assert!(states.iter().filter(running).count() <= 2, "{states:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        // A process that was killed holds its lock until its last thread has ended.
        let is_running = |stage: &Value| stage["state"] == "running";
        let mut stages = told();
        for _ in 0..500 {
            if !stages.iter().any(is_running) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            stages = told();
        }
        for stage in stages {
            let known = stage["place"].as_str().map(Path::new);
            let expected = known.map_or("missing", state);
            assert_eq!(stage["state"], expected, "{stage}");
        }
    }
    ok(world.demo("run", &[]));
    assert_eq!(world.digests("run"), undisturbed.digests("run"));
}

/// Runs `train --set …`, then without `--set`, then with it again.
#[test]
fn a_model_is_not_lost_for_a_forgotten_parameter() {
    let world = World::new();
    // Under the demo's cosine schedule, more epochs would mean another curve.
    let set = [
        "--set=train.decoder_lr=3.3e-3",
        "--set=train.schedule=constant",
        "--until=train",
    ];
    ok(world.demo("one", &set));
    let model = world.manifest("one/model");
    let (told, _) = ok(world.demo("one", &["--dry-run"]));
    assert!(
        told.contains("train would run: train.decoder_lr 0.0033 -> "),
        "{told}"
    );
    let (_, log) = ok(world.demo("one", &["--until=train"]));
    assert!(log.contains("train.decoder_lr 0.0033 -> "), "{log}");
    assert_ne!(world.manifest("one/model"), model);
    let (_, log) = ok(world.demo("one", &set));
    assert_eq!(log.matches("up to date").count(), 4, "{log}");
    assert_eq!(world.manifest("one/model"), model);
    // More epochs begin where the shorter training has ended.
    let (_, log) = ok(world.demo("one", &[&set[..], &["--set=train.epochs=3"]].concat()));
    assert!(log.contains("train: train.epochs 2 -> 3"), "{log}");
    let lines = |run: &str| {
        let text = std::fs::read_to_string(world.path(run).join("model/metrics.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let longer = lines("one");
    ok(world.demo("one", &set));
    assert_eq!(lines("one")[..], longer[..lines("one").len()]);
}

/// `verify --repair` repairs a whole run: each artifact with the stage that made it.
#[test]
fn what_is_damaged_is_repaired_alone() {
    let world = World::new();
    let demo = |more: &[&str]| {
        let more = [&["--until=vocab", "--set=dataset.shard_size=8"], more].concat();
        ok(world.demo("one", &more)).1
    };
    demo(&[]);
    let made = ["scenes", "dataset", "vocabulary"];
    let digests = || made.map(|kind| world.manifest(&format!("one/{kind}"))["digest"].clone());
    let first = digests();
    let verify = |more: &[&str]| world.xtask(&[&["verify"], more].concat(), &[]);
    ok(verify(&[]));
    let damaged = [
        "dataset/shards/train-00002.arrow",
        "vocabulary/vocab.json",
        "dataset/captions.parquet",
    ];
    for file in damaged {
        let path = world.path("one").join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    fails(
        verify(&[]),
        4,
        &["train-00002.arrow", "captions.parquet", "vocab.json"],
    );
    let (_, log) = ok(verify(&["--repair"]));
    assert!(log.contains("train-00002.arrow: damaged"), "{log}");
    ok(verify(&[]));
    assert_eq!(digests(), first);

    let log = demo(&["--shards=train-00003,val-00000"]);
    assert_eq!(log.matches("up to date").count(), 2, "{log}");
    assert_eq!(digests(), first);
    let mut strange = Command::new(PROGRAMS.join("xtask"));
    strange.args(["verify", "--repair"]).arg(world.path(""));
    strange
        .current_dir(root())
        .env("ATTEND_BIN_DIR", &*PROGRAMS);
    fails(strange, 2, &["so its stage is unknown"]);
}

#[test]
fn what_a_user_gets_wrong_is_said_before_anything_runs() {
    let world = World::new();
    let set = |item: &str| format!("--set={item}");
    fails(
        world.demo("wrong", &[&set("train.epohcs=3")]),
        2,
        &["epohcs", "epochs"],
    );
    fails(
        world.demo("wrong", &[&set("trian.epochs=3")]),
        2,
        &["trian", "train"],
    );
    assert!(!world.path("wrong/dataset").exists());
    let coco = |item: &str| {
        let mut command = world.xtask(
            &["preprocess", "--config", "configs/coco-mini.toml"],
            &["run.name=wrong"],
        );
        command.arg(set(item)).env("ATTEND_DATA", "/no/such/place");
        command
    };
    fails(
        coco("dataset.shard_size=8"),
        3,
        &["/no/such/place/coco-mini"],
    );
    let mut unset = coco("dataset.shard_size=8");
    unset.env_remove("ATTEND_DATA");
    fails(unset, 2, &["ATTEND_DATA"]);
}

/// Each stage also runs by itself, with an experiment's whole config: it ignores the
/// sections of the others.
#[test]
fn every_stage_takes_every_config() {
    let world = World::new();
    for config in std::fs::read_dir(root().join("configs")).unwrap() {
        for stage in ["vocab", "features", "train", "evaluate"] {
            let mut command = Command::new(PROGRAMS.join(format!("attend-{stage}")));
            command.arg("--config").arg(config.as_ref().unwrap().path());
            command.arg("--output").arg(world.path("none"));
            for name in ["ATTEND_DATA", "COCO", "WEIGHTS", "FLICKR8K"] {
                command.env(name, "/nowhere");
            }
            fails(command, 2, &["needs --input"]);
        }
    }
}

#[test]
fn a_checkpoint_of_another_vocabulary_is_refused() {
    let world = World::new();
    ok(world.demo("one", &[]));
    // Words seen fewer than 30 times become <unk>: another vocabulary.
    ok(world.demo("two", &["--set=vocab.min_count=30", "--until=vocab"]));
    let mut evaluate = Command::new(PROGRAMS.join("attend-evaluate"));
    for (kind, run) in [("model", "one"), ("dataset", "one"), ("vocabulary", "two")] {
        evaluate.arg(format!(
            "--input={kind}={}",
            world.path(&format!("{run}/{kind}")).display()
        ));
    }
    evaluate.arg("--output").arg(world.path("evaluation"));
    let hash = |run: &str| {
        let files = world.manifest(&format!("{run}/vocabulary"))["files"].clone();
        let file = files
            .as_array()
            .unwrap()
            .iter()
            .find(|file| file["name"] == "vocab.json")
            .unwrap()
            .clone();
        file["blake3"].as_str().unwrap()[..12].to_owned()
    };
    let (one, two) = (hash("one"), hash("two"));
    fails(evaluate, 4, &[&one, &two]);
    assert!(!world.path("evaluation").exists());
}

/// Real photographs, real weights: ingest, vocabulary, features, training,
/// evaluation, and a caption for a photograph of another collection.
#[test]
#[ignore = "needs ATTEND_DATA"]
fn real_photographs_go_all_the_way() {
    let data = attend_testing::data();
    let world = World::new();
    let weights = Path::new(&data).join("weights/resnet50-layer3-stride1x1.safetensors");
    let small = [
        "run.name=flickr",
        "dataset.image_size=64",
        "encoder.arch=resnet50",
        "encoder.last_stage=layer3",
        "encoder.stride_in=conv1x1",
        &format!("encoder.weights=\"{}\"", weights.display()),
        "vocab.min_count=3",
        "decoder.grid=[0,0]",
        "decoder.hidden=64",
        "decoder.embedding=64",
        "decoder.attention=64",
        "train.epochs=1",
        "search.beams=[1,3]",
    ];
    let mut run = world.xtask(
        &["run", "captioning", "--config", "configs/flickr8k.toml"],
        &small,
    );
    run.env("FLICKR8K", Path::new(&data).join("flickr8k-mini"))
        .env("WEIGHTS", "unused");
    ok(run);
    let manifest = world.manifest("flickr/dataset");
    assert_eq!(manifest["counts"]["images"], 384);
    assert_eq!(
        world.manifest("flickr/features")["counts"]["channels"],
        1024
    );
    let photograph = Path::new(&data)
        .join("coco-mini/train2014")
        .read_dir()
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut caption = Command::new(PROGRAMS.join("attend-caption"));
    caption
        .arg("--model")
        .arg(world.path("flickr/model"))
        .arg("--attention")
        .arg(world.path("out"))
        .arg(&photograph);
    let (out, _) = ok(caption);
    assert!(out.contains('\t'), "{out}");
    assert_eq!(world.path("out").read_dir().unwrap().count(), 1);
}

/// The table of what runs after a change in docs/runs.md: the rows with a `--set`, in the pipeline
/// that it describes, on a frozen encoder's features.
#[test]
fn the_readme_says_what_a_change_runs() {
    let world = World::new();
    ok(world.demo("scenes", &["--to=scenes"]));
    let (_old, run) = attend_tests::old_run();
    let photographs = world.path("photographs");
    let scenes = std::fs::canonicalize(world.path("scenes/scenes")).unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .args([&scenes, &photographs])
        .status();
    assert!(copied.unwrap().success());
    let config = world.path("r.toml");
    let text = format!(
        r#"
[dataset]
format = "karpathy"
root = "{}"
annotations = "dataset_scenes.json"
image_size = 32
shard_size = 8
[encoder]
arch = "resnet18"
last_stage = "layer1"
weights = "{}"
[decoder]
embedding = 8
attention = 8
hidden = 8
grid = [0, 0]
[train]
epochs = 2
validation_beam = 1
schedule = "constant"
[search]
beams = [1, 3]
"#,
        photographs.display(),
        run.join("features/encoder.safetensors").display(),
    );
    std::fs::write(&config, text).unwrap();
    let captioning = |set: &[&str], more: &[&str]| {
        let mut command = world.xtask(&["run", "captioning", "--jobs=1"], set);
        command.arg("--config").arg(&config).args(more);
        ok(command)
    };
    captioning(&[], &[]);
    let readme = std::fs::read_to_string(root().join("docs/runs.md")).unwrap();
    let mut rows = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `--set ")) {
        let cells: Vec<&str> = line
            .split(" | ")
            .map(|cell| cell.trim_matches([' ', '|']))
            .collect();
        let set = cells[0].trim_matches('`').trim_start_matches("--set ");
        let reason = cells
            .get(2)
            .and_then(|cell| cell.split('`').nth(1))
            .unwrap_or("");
        let (told, _) = captioning(&[set], &["--dry-run"]);
        let would: Vec<&str> = told
            .lines()
            .filter_map(|line| line.split_once(" would "))
            .map(|(stage, _)| stage)
            .collect();
        let expected: Vec<&str> = match cells[1] {
            "none" => Vec::new(),
            stages => stages.split(", ").collect(),
        };
        assert_eq!(would, expected, "{set}\n{told}");
        let first = told
            .lines()
            .find(|line| line.contains(" would "))
            .unwrap_or("");
        assert!(first.contains(reason), "{set}: {reason:?} in {first:?}");
        let (_, log) = captioning(&[set], &[]);
        assert_eq!(
            log.matches("up to date").count(),
            5 - expected.len(),
            "{set}\n{log}"
        );
        assert!(log.contains(reason), "{set}: {reason:?} in\n{log}");
        // Back again: everything is in the store yet.
        let (_, log) = captioning(&[], &[]);
        assert_eq!(log.matches("up to date").count(), 5, "{set}\n{log}");
        rows += 1;
    }
    assert_eq!(rows, 8, "rows of docs/runs.md");

    // A photograph is replaced: its shard is made again, and no other one.
    let photographs = photographs.join("images");
    let one = photographs.join("scene_000001.png");
    std::fs::copy(photographs.join("scene_000002.png"), one).unwrap();
    let (told, _) = captioning(&[], &["--dry-run"]);
    let changed = "ingest would run: 1 loose file or folder changed: scene_000001.png";
    assert!(told.starts_with(changed), "{told}");
    let (_, log) = captioning(&[], &[]);
    assert!(
        log.contains("vocab: input dataset changed: 1 shard"),
        "{log}"
    );
    // The captions are the same, and so are their ids; but they were made from another data set.
    assert!(
        log.contains("features: input dataset changed: 1 shard"),
        "{log}"
    );
}

#[test]
fn what_the_last_stages_lack_is_said_before_the_first_one_runs() {
    let world = World::new();
    ok(world.demo("one", &["--to=scenes"]));
    let begun = |run: &str| world.path(run).join("dataset").exists();
    fails(
        world.demo("one", &["--set=train.validation_split=dev"]),
        3,
        &[
            "train.validation_split = \"dev\"",
            "it will have test, train, val",
        ],
    );
    fails(
        world.demo("one", &["--set=evaluate.split=held-out"]),
        3,
        &["evaluate.split = \"held-out\""],
    );
    let mut meteor = world.demo("one", &["--set=train.stop_metric=meteor"]);
    meteor.env("ATTEND_METEOR", "/no/such/folder");
    fails(meteor, 3, &["METEOR's data is not in /no/such/folder"]);
    fails(
        world.demo("one", &["--set=decoder.embeddings=/no/such/file"]),
        3,
        &["decoder.embeddings = \"/no/such/file\": no such file"],
    );
    assert!(!begun("one"));
    let root = std::fs::canonicalize(world.path("one/scenes")).unwrap();
    let config = world.path("two.toml");
    let annotations = "format = \"karpathy\"\nannotations = \"dataset_scenes.json\"\n";
    let text = format!(
        "[dataset]\nroot = {:?}\n{annotations}",
        root.display().to_string()
    );
    std::fs::write(&config, text).unwrap();
    let mut weights = world.xtask(&["run", "captioning"], &["encoder.weights=none.pth"]);
    weights.arg("--config").arg(&config);
    fails(
        weights,
        3,
        &["encoder.weights = \"none.pth\": no such file"],
    );
    assert!(!begun("two"));
}
