//! Tests `attend-seal`, and `attend-verify` as a program.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::model::{Arch, EncoderConfig, LastStage, ResNetConfig};
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Manifest};
use attend_testing::{DataSet, Run, Split, Weights, features, vocabulary};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn program(name: &str) -> Command {
    Command::new(match name {
        "seal" => env!("CARGO_BIN_EXE_attend-seal"),
        _ => env!("CARGO_BIN_EXE_attend-verify"),
    })
}

/// A data set and what was made from it.
fn world(folder: &Path) -> [PathBuf; 3] {
    let split = |name, first| Split {
        name,
        first,
        count: 2,
    };
    let data = DataSet {
        side: 8,
        splits: &[split("train", 1), split("val", 10)],
        pixels: &|id| vec![id as u8; 192],
        captions: &|_| vec!["a dog".into(), "a cat".into()],
        objects: &["dog"],
    };
    let dataset = data.write(&folder.join("dataset"));
    let words = Vocabulary::new([("a".to_owned(), 4), ("dog".to_owned(), 2)], 1, 9);
    vocabulary::write(&folder.join("vocabulary"), &dataset, &words);
    let resnet = ResNetConfig {
        arch: Arch::Resnet18,
        last_stage: LastStage::Layer1,
        ..ResNetConfig::default()
    };
    let weights = Weights::random(&resnet.parameters(), 1).bytes();
    let cells = |pixels: &[u8]| vec![f32::from(pixels[0]); 4 * 64];
    let encoder = EncoderConfig::ResNet(resnet);
    features::write(
        &folder.join("features"),
        &dataset,
        &encoder,
        &weights,
        &cells,
    );
    ["dataset", "vocabulary", "features"].map(|kind| folder.join(kind))
}

/// Removes the manifest and what a stage leaves beside it.
fn unseal(root: &Path) -> Manifest {
    let manifest = Manifest::read(root).unwrap();
    for name in ["manifest.json", ".journal.jsonl", ".work.json"] {
        std::fs::remove_file(root.join(name)).unwrap();
    }
    manifest
}

fn input(path: &Path) -> String {
    let kind = path.file_name().unwrap().to_str().unwrap();
    format!("--input={kind}={}", path.display())
}

#[test]
fn what_a_stage_made_is_sealed_as_the_stage_did() {
    let folder = tempfile::tempdir().unwrap();
    let [dataset, vocabulary, features] = world(folder.path());
    for (path, kind, inputs) in [
        (&vocabulary, "vocabulary", &[input(&dataset)][..]),
        (&features, "features", &[input(&dataset)]),
        (&dataset, "dataset", &[]),
    ] {
        let before = unseal(path);
        let mut seal = program("seal");
        seal.arg(path)
            .args(["--kind", kind, "--producer=test", "--producer-version=1"]);
        let sealed = seal.args(inputs).ok().out;
        let after = Manifest::read(path).unwrap();
        assert!(sealed.contains(&after.digest[..12]), "{sealed}");
        // Counts and rows that the writers of the tests leave out are found, too.
        let without = |manifest: &Manifest| {
            let mut manifest = manifest.clone();
            manifest.files.iter_mut().for_each(|file| file.rows = None);
            manifest
                .counts
                .retain(|name, _| before.counts.contains_key(name));
            manifest.digest.clear();
            manifest
        };
        assert_eq!(without(&after), without(&before));
        let rows = |name: &str| after.file(name).map(|file| file.rows);
        match kind {
            "dataset" => assert_eq!(after, before),
            "features" => assert_eq!(after.counts["images"], 4),
            _ => {
                assert_eq!(rows("encoded.parquet"), Some(Some(8)));
                let counts = json!({
                    "words": 2, "captions": 8, "dropped": 0,
                    "captions_train": 4, "tokens_train": 8, "oov_train": 2,
                    "captions_val": 4, "tokens_val": 8, "oov_val": 2,
                });
                assert_eq!(serde_json::to_value(&after.counts).unwrap(), counts);
            }
        }
        program("verify").arg(path).args(["--kind", kind]).ok();
        // Sealed again as it is; under another name only after the manifest is removed.
        let modified = || {
            path.join("manifest.json")
                .metadata()
                .unwrap()
                .modified()
                .unwrap()
        };
        let time = modified();
        seal.ok();
        assert_eq!(modified(), time);
        let mut other = program("seal");
        other
            .arg(path)
            .args(["--kind", kind, "--producer=other"])
            .args(inputs);
        other.refused(4, &["manifest.json: is that of other contents"]);
        assert_eq!(Manifest::read(path).unwrap(), after);
    }
}

#[test]
fn a_config_and_loose_inputs_go_into_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pieces");
    std::fs::create_dir_all(root.join("b/c")).unwrap();
    for name in ["b.txt", "b/c/d.txt", "a"] {
        std::fs::write(root.join(name), name).unwrap();
    }
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "[a]\nb = 1\nc = 0.5\nd = [true, \"x\"]\n").unwrap();
    let seal = |more: &[&str]| {
        let mut seal = program("seal");
        seal.arg(&root).args(["--kind=pieces", "--producer=me"]);
        seal.arg(format!("--config={}", config.display()))
            .args(more);
        seal
    };
    let loose = format!("--input=text={}", config.display());
    seal(&[&loose]).ok();
    let manifest = Artifact::open(&root).unwrap().manifest;
    let names: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b.txt", "b/c/d.txt"]);
    assert_eq!(
        manifest.config,
        json!({"a": {"b": 1, "c": 0.5, "d": [true, "x"]}})
    );
    assert_eq!(manifest.inputs["text"].kind, "text");
    seal(&["--input=text"]).refused(2, &["expected KIND=PATH"]);
    seal(&[&loose, &loose]).refused(2, &["comes twice"]);
    seal(&["--input=text=/no/such"]).refused(3, &["--input text", "no such file"]);
    std::fs::write(&config, "[a]\nb = 1979-05-27\n").unwrap();
    seal(&[]).refused(2, &["c.toml: 1979-05-27 is no value of JSON"]);
    std::fs::write(&config, "[a]\nb = nan\n").unwrap();
    seal(&[]).refused(2, &["c.toml: NaN is no number of JSON"]);
}

#[test]
fn what_is_no_content_is_not_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pieces");
    let seal = || {
        let mut seal = program("seal");
        seal.arg(&root).args(["--kind=pieces", "--producer=me"]);
        seal
    };
    seal().refused(4, &["pieces: has no files to seal"]);
    std::fs::create_dir_all(root.join(".git")).unwrap();
    std::fs::write(root.join("a"), "a").unwrap();
    std::os::unix::fs::symlink("a", root.join("b")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("c")).unwrap();
    let log = match seal().output().unwrap() {
        ended if ended.status.code() == Some(4) => String::from_utf8(ended.stderr).unwrap(),
        ended => panic!("{ended:?}"),
    };
    for word in [
        "pieces/.git: its name is hidden",
        "pieces/b: a link; put the file itself here",
        "pieces/c: neither a file nor a folder",
    ] {
        assert!(log.contains(word), "{log}");
    }
    assert!(!root.join("manifest.json").exists());
    std::fs::remove_dir(root.join(".git")).unwrap();
    std::fs::remove_file(root.join("b")).unwrap();
    std::fs::remove_file(root.join("c")).unwrap();
    seal().ok();
}

#[test]
fn what_verify_would_refuse_is_not_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let [dataset, vocabulary, features] = world(folder.path());
    unseal(&vocabulary);
    std::fs::write(vocabulary.join("vocab.json"), "{}").unwrap();
    let mut seal = program("seal");
    seal.arg(&vocabulary)
        .args(["--kind=vocabulary", "--producer=me"]);
    let both = [
        "vocab.json: not a vocabulary",
        "\"inputs\" lacks \"dataset\"",
    ];
    seal.refused(4, &both);
    assert!(!vocabulary.join("manifest.json").exists());
    seal.arg(input(&features))
        .refused(4, &["manifest.json", "vocab.json"]);
    seal.arg(format!("--input=dataset={}", features.display()));
    seal.refused(4, &["is an artifact of kind \"features\", not \"dataset\""]);
    let mut inside = program("seal");
    inside
        .arg(dataset.join("shards"))
        .args(["--kind=a", "--producer=me"]);
    inside.arg(input(&dataset)).refused(2, &["is inside"]);
}

#[test]
fn verdicts_are_lines_of_json_or_text() {
    let folder = tempfile::tempdir().unwrap();
    let [dataset, vocabulary, features] = world(folder.path());
    let mut whole = program("verify");
    whole
        .arg(&vocabulary)
        .arg(&features)
        .arg("--against")
        .arg(&dataset);
    assert_eq!(whole.ok().lines().len(), 2);
    std::fs::write(vocabulary.join("vocab.json"), "{}").unwrap();
    let mut verify = program("verify");
    verify
        .arg("--json")
        .arg(&vocabulary)
        .arg(&features)
        .arg(folder.path().join("none"));
    let ended = verify.output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(4), &b""[..]));
    let text = String::from_utf8(ended.stdout).unwrap();
    let verdicts: Vec<Value> = (text.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [first, second, third] = &verdicts[..] else {
        panic!("{text}");
    };
    let size = vocabulary.join("vocab.json").metadata().unwrap().len();
    assert_eq!(first["path"], vocabulary.to_str().unwrap());
    assert_eq!(
        (&first["kind"], &first["whole"]),
        (&json!("vocabulary"), &json!(false))
    );
    assert_eq!(first["digest"], Manifest::read(&vocabulary).unwrap().digest);
    let found = first["findings"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{text}");
    let what = found[0]["what"].as_str().unwrap();
    assert!(
        what.starts_with(&format!("has {size} bytes, the manifest says ")),
        "{what}"
    );
    assert_eq!(
        (&found[0]["file"], &found[0]["place"]),
        (&json!("vocab.json"), &json!(""))
    );
    assert_eq!(
        (&second["whole"], &second["findings"]),
        (&json!(true), &json!([]))
    );
    let why = "does not exist; run the stage that makes it";
    let nothing = json!([{"file": "", "place": "", "what": why}]);
    assert_eq!((&third["kind"], &third["findings"]), (&json!(""), &nothing));
    verify = program("verify");
    verify
        .arg(&features)
        .args(["--kind=dataset", "--against"])
        .arg(&vocabulary);
    verify.refused(4, &["vocab.json has 2 bytes"]);
    verify = program("verify");
    verify.arg(&features).arg("--kind=dataset");
    verify.refused(
        4,
        &["features/manifest.json: an artifact of kind \"features\", not \"dataset\""],
    );
}
