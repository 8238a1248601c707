//! The PyTorch tutorial's files: imported as written by h5py, and exported unchanged.

#![allow(clippy::unwrap_used, clippy::panic)] // a helper that fails fails its test

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use attend_artifact::dataset::{Dataset, RejectedRecord};
use attend_artifact::manifest::{FileEntry, Manifest};
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Input, Record, digest_file};
use attend_hdf5::{Images, ImagesWriter};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const BASE: &str = "coco_2_cap_per_img_0_min_word_freq";
const WORDS: [&str; 8] = ["a", "dog", "runs", "the", "hündchen", "sleeps", "on", "mat"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tutorial")
}

/// Copies the fixture's files into a folder `root`.
fn copied() -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    for entry in fixture().read_dir().unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), root.join(entry.file_name())).unwrap();
    }
    folder
}

/// Imports `root` as `folder/output`.
fn import_from(root: &Path, folder: &TempDir, output: &str, arguments: &[&str]) -> Assert {
    let mut command = Command::cargo_bin("attend-hdf5").unwrap();
    command.args(["import", "--set", &format!("dataset.root={root:?}")]);
    command.arg("--output").arg(folder.path().join(output));
    command.args(arguments).assert()
}

/// [`import_from`] for `folder/root`.
fn import(folder: &TempDir, output: &str, arguments: &[&str]) -> Assert {
    import_from(&folder.path().join("root"), folder, output, arguments)
}

/// Imports the fixture as `dataset`.
fn imported() -> TempDir {
    let folder = TempDir::new().unwrap();
    import_from(&fixture(), &folder, "dataset", &[]).success();
    folder
}

/// Opens the artifact and compares its files with the manifest.
fn open(folder: &TempDir, output: &str) -> (Artifact, Dataset) {
    let artifact = Artifact::open_kind(&folder.path().join(output), "dataset").unwrap();
    artifact.verify().unwrap();
    let dataset = Dataset::open(&artifact).unwrap();
    (artifact, dataset)
}

/// A vocabulary artifact with the word map's words, for `dataset`.
fn vocabulary(folder: &TempDir) -> PathBuf {
    let (artifact, dataset) = open(folder, "dataset");
    let words = WORDS.map(|word| (word.to_owned(), 1));
    let vocabulary = Vocabulary::new(words, 1, 100);
    let encoded = dataset.captions().iter().map(|caption| EncodedRecord {
        caption_id: caption.caption_id,
        image_id: caption.image_id,
        split: caption.split.clone(),
        tokens: (vocabulary.encode(&caption.caption).iter())
            .map(|id| *id as i32)
            .collect(),
    });
    let encoded: Vec<EncodedRecord> = encoded.collect();
    let root = folder.path().join("vocabulary");
    std::fs::create_dir(&root).unwrap();
    vocabulary.write(&root.join("vocab.json")).unwrap();
    EncodedRecord::write(&root.join("encoded.parquet"), &encoded).unwrap();
    let mut manifest = Manifest::draft("vocabulary", "test", "1");
    let input = Input {
        kind: "dataset".into(),
        digest: artifact.manifest.digest,
    };
    manifest.inputs.insert("dataset".into(), input);
    manifest.files = ["encoded.parquet", "vocab.json"]
        .map(|name| FileEntry {
            name: name.into(),
            bytes: root.join(name).metadata().unwrap().len(),
            rows: None,
            blake3: digest_file(&root.join(name)).unwrap(),
        })
        .into();
    manifest.digest = manifest.compute_digest();
    let text = serde_json::to_string(&manifest).unwrap();
    std::fs::write(root.join("manifest.json"), text).unwrap();
    root
}

fn export(folder: &TempDir, more: &[&str]) -> Assert {
    let mut command = Command::cargo_bin("attend-hdf5").unwrap();
    command.arg("export").arg(folder.path().join("out"));
    for kind in ["dataset", "vocabulary"] {
        let path = folder.path().join(kind);
        command
            .arg("--input")
            .arg(format!("{kind}={}", path.display()));
    }
    command.args(more).assert()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The formula of fixtures/tutorial.py.
fn pixels(number: usize) -> Vec<u8> {
    let at = |i: usize| (number * 31 + i / 64 * 67 + i / 8 % 8 * 7 + i % 8 * 3) as u8;
    (0..3 * 8 * 8).map(at).collect()
}

fn stderr(assert: Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn what_h5py_wrote_is_read() {
    let folder = imported();
    let (artifact, dataset) = open(&folder, "dataset");
    let splits: Vec<&str> = dataset.images().iter().map(|i| i.split.as_str()).collect();
    assert_eq!(splits, ["train", "train", "train", "val", "test", "test"]);
    for (number, image) in dataset.images().iter().enumerate() {
        assert_eq!(dataset.pixels(image).unwrap(), pixels(number), "{number}");
        assert_eq!(image.image_id, number as i64);
    }
    let captions: Vec<(i64, &str)> = (dataset.captions().iter())
        .map(|caption| (caption.image_id, caption.caption.as_str()))
        .collect();
    let expected = [
        (0, "a dog runs"),
        (0, "the dog"),
        (1, "a hündchen sleeps"),
        (1, "a hündchen sleeps"),
        (2, "a <unk> on the mat"),
        (2, "the dog sleeps on the mat on the dog"),
        (3, "<unk>"),
        (3, "the mat"),
        (4, "a dog"),
        (4, "a mat"),
        (5, "mat"),
        (5, "a mat runs"),
    ];
    assert_eq!(captions, expected);
    assert!(artifact.manifest.inputs.contains_key("wordmap"));
}

#[test]
fn what_was_imported_is_exported_as_it_was() {
    let folder = imported();
    vocabulary(&folder);
    export(&folder, &["--captions-per-image", "2"]).success();
    let out = folder.path().join("out");
    let mut names: Vec<_> = (out.read_dir().unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<_> = (fixture().read_dir().unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    for name in names.iter().filter(|name| name.ends_with(".json")) {
        assert_eq!(json(&out.join(name)), json(&fixture().join(name)), "{name}");
    }
    let wordmap = json(&out.join(format!("WORDMAP_{BASE}.json")));
    let first: Vec<&String> = wordmap.as_object().unwrap().keys().take(3).collect();
    assert_eq!(first, ["a", "dog", "runs"]);
    let mut number = 0;
    for split in ["TRAIN", "VAL", "TEST"] {
        let images = Images::open(&out.join(format!("{split}_IMAGES_{BASE}.hdf5"))).unwrap();
        assert_eq!(images.size, [8, 8]);
        for row in 0..images.rows {
            assert_eq!(images.read(row).unwrap(), pixels(number));
            number += 1;
        }
    }
    assert_eq!(number, 6);
}

#[test]
fn captions_are_repeated_in_turn_or_cut() {
    let folder = imported();
    vocabulary(&folder);
    let captions = |n: &str| {
        export(&folder, &["--captions-per-image", n, "--name", "x"]).success();
        let base = format!("x_{n}_cap_per_img_0_min_word_freq.json");
        let lengths = json(&folder.path().join(format!("out/TRAIN_CAPLENS_{base}")));
        serde_json::from_value::<Vec<usize>>(lengths).unwrap()
    };
    assert_eq!(captions("1"), [5, 5, 7]);
    assert_eq!(captions("3"), [5, 4, 5, 5, 5, 5, 7, 11, 7]);
}

#[test]
fn an_export_is_whole_or_not_there() {
    let folder = imported();
    let root = vocabulary(&folder);
    export(&folder, &["--captions-per-image", "2"]).success();
    let message = stderr(export(&folder, &["--captions-per-image", "2"]).code(2));
    assert!(message.contains("--force"), "{message}");
    export(&folder, &["--captions-per-image", "2", "--force"]).success();

    // The remains of a killed export are removed.
    let out = folder.path().join("out");
    std::fs::create_dir(out.join(".export")).unwrap();
    std::fs::write(out.join(".export/TRAIN_IMAGES_half.hdf5"), "half").unwrap();
    export(&folder, &[]).success();
    let names = out.read_dir().unwrap().map(|e| e.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(
        !names
            .iter()
            .any(|name| name.contains("half") || name == ".export")
    );

    let manifest = root.join("manifest.json");
    let mut other: Manifest = serde_json::from_value(json(&manifest)).unwrap();
    other.inputs.clear();
    other.digest = other.compute_digest();
    std::fs::write(&manifest, serde_json::to_vec(&other).unwrap()).unwrap();
    let message = stderr(export(&folder, &["--name", "y"]).code(4));
    assert!(message.contains("was not made from"), "{message}");
    let names = out.read_dir().unwrap().map(|e| e.unwrap().file_name());
    assert!(
        !names
            .into_iter()
            .any(|name| name.to_string_lossy().starts_with('y'))
    );
}

#[test]
fn an_export_leaves_alone_what_no_export_has_made() {
    let folder = imported();
    vocabulary(&folder);
    let out = folder.path().join("out");
    let thesis = out.join(".export/thesis.txt");
    std::fs::create_dir_all(out.join(".export")).unwrap();
    std::fs::write(&thesis, "do not lose").unwrap();
    let message = stderr(export(&folder, &["--force"]).code(4));
    assert!(message.contains("thesis.txt"), "{message}");
    assert_eq!(std::fs::read(&thesis).unwrap(), b"do not lose");
    std::fs::remove_file(thesis).unwrap();
    std::fs::write(out.join("manifest.json"), "{}").unwrap();
    let message = stderr(export(&folder, &["--force"]).code(4));
    assert!(message.contains("manifest.json"), "{message}");
    std::fs::remove_file(out.join("manifest.json")).unwrap();
    export(&folder, &[]).success();
}

#[test]
fn wrong_files_are_named_with_the_way_out() {
    let fails = |break_it: &dyn Fn(&Path), code: i32, expected: &str| {
        let folder = copied();
        break_it(&folder.path().join("root"));
        let message = stderr(import(&folder, "out", &[]).code(code));
        assert!(message.contains(expected), "{message}");
        assert!(!folder.path().join("out").exists());
    };
    let wordmap = format!("WORDMAP_{BASE}.json");
    let captions = format!("VAL_CAPTIONS_{BASE}.json");
    let images = format!("VAL_IMAGES_{BASE}.hdf5");
    let remove = |name: &str| {
        let name = name.to_owned();
        move |root: &Path| std::fs::remove_file(root.join(&name)).unwrap()
    };
    let replace = |name: &str, text: &str| {
        let (name, text) = (name.to_owned(), text.to_owned());
        move |root: &Path| std::fs::write(root.join(&name), &text).unwrap()
    };
    fails(&remove(&wordmap), 3, "no WORDMAP_*.json in it");
    fails(&replace("WORDMAP_b.json", "{}"), 2, "dataset.annotations");
    fails(&replace(&wordmap, r#"{"a": 1}"#), 3, "has no <start>");
    fails(
        &replace(&wordmap, r#"{"<start>": 1, "<end>": 2, "b": 3, "a": 3}"#),
        3,
        "\"a\" and \"b\" have the same id 3",
    );
    fails(&remove(&captions), 3, &captions);
    fails(
        &replace(&captions, "[]"),
        3,
        "not a multiple of the 1 images",
    );
    fails(
        &replace(&captions, "[[10], [10, 1, 11, 0]]"),
        3,
        "caption 0: does not begin with <start>",
    );
    fails(
        &replace(&captions, "[[10, 99, 11], []]"),
        3,
        "99 is not an id",
    );
    fails(&replace(&images, "no HDF5"), 3, &images);
    let chunked = |root: &Path| {
        let from = fixture().with_file_name("chunked.hdf5");
        std::fs::copy(from, root.join(&images)).unwrap();
    };
    fails(&chunked, 3, "h5repack");
    let smaller = |root: &Path| {
        let mut writer = ImagesWriter::create(&root.join(&images), 1, [4, 4], 2).unwrap();
        writer.push(&[0; 48]).unwrap();
        writer.finish().unwrap();
    };
    fails(
        &smaller,
        3,
        "images of 4 x 4; those of the first split are 8 x 8",
    );
}

#[test]
fn a_lost_shard_comes_back_and_tasks_make_what_one_run_makes() {
    let folder = copied();
    let set = ["--set", "dataset.shard_size=2"];
    import(&folder, "out", &set).success();
    let digest = |output: &str| open(&folder, output).0.manifest.digest;
    let whole = digest("out");
    let shard = folder.path().join("out/shards/train-00001.arrow");
    std::fs::remove_file(&shard).unwrap();
    import(&folder, "out", &[&set[..], &["--repair"]].concat()).success();
    assert!(shard.exists() && digest("out") == whole);
    for task in [&["--task", "2/2"][..], &["--task", "1/2"], &["--finalize"]] {
        import(&folder, "tasks", &[&set[..], task].concat()).success();
    }
    assert_eq!(digest("tasks"), whole);
}

/// Regression: without VAL_IMAGES, all of val was left out silently.
#[test]
fn a_split_that_is_half_there_is_no_split_that_is_not_there() {
    let files = [
        format!("VAL_IMAGES_{BASE}.hdf5"),
        format!("VAL_CAPTIONS_{BASE}.json"),
        format!("VAL_CAPLENS_{BASE}.json"),
    ];
    for gone in 1..8 {
        let folder = copied();
        let root = folder.path().join("root");
        let take = |file: &str| std::fs::remove_file(root.join(file)).unwrap();
        let gone: Vec<bool> = (0..3).map(|bit| gone >> bit & 1 == 1).collect();
        (files.iter().zip(&gone)).for_each(|(file, gone)| gone.then(|| take(file)).unwrap_or(()));
        let run = import(&folder, "out", &[]);
        match gone[..] {
            // Lengths are not needed, and a split without any file is not an error.
            [false, false, _] | [true, true, true] => drop(run.success()),
            _ => {
                let message = stderr(run.code(3));
                let missing = if gone[0] { &files[0] } else { &files[1] };
                assert!(
                    message.contains(&format!("{missing}: no such file")),
                    "{message}"
                );
                assert!(
                    message.contains("remove VAL_* to leave that split out"),
                    "{message}"
                );
            }
        }
    }
}

/// Regression: other splits were neither exported nor named, and an import took TRAIN, VAL
/// and TEST only.
#[test]
fn splits_of_other_names_go_out_and_come_in() {
    let folder = copied();
    for entry in folder.path().join("root").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = name.replace("VAL_", "DEV_").replace("TEST_", "EXTRA_");
        std::fs::rename(&path, path.with_file_name(name)).unwrap();
    }
    let log = stderr(import(&folder, "dataset", &[]).success());
    let hint = "dataset.splits = { train = \"train\", dev = \"val\", extra = \"extra\" }";
    assert!(log.contains(hint), "{log}");
    let root = vocabulary(&folder);
    // As if the vocabulary had left out the captions of image 5.
    let encoded = EncodedRecord::read(&root.join("encoded.parquet")).unwrap();
    let encoded: Vec<_> = encoded.into_iter().filter(|it| it.image_id != 5).collect();
    EncodedRecord::write(&root.join("encoded.parquet"), &encoded).unwrap();
    let mut manifest: Manifest = serde_json::from_value(json(&root.join("manifest.json"))).unwrap();
    for file in &mut manifest.files {
        file.bytes = root.join(&file.name).metadata().unwrap().len();
    }
    manifest.digest = manifest.compute_digest();
    let text = serde_json::to_string(&manifest).unwrap();
    std::fs::write(root.join("manifest.json"), text).unwrap();

    let log = stderr(export(&folder, &["--captions-per-image", "1"]).success());
    assert!(log.contains("left out images: 1 no-caption"), "{log}");
    assert!(log.contains("left out captions: 5 too-many"), "{log}");
    let ledger = "out/REJECTED_coco_1_cap_per_img_0_min_word_freq.parquet";
    let rejected = RejectedRecord::read(&folder.path().join(ledger)).unwrap();
    let rejected: Vec<_> = rejected.iter().map(|row| (row.id, &*row.reason)).collect();
    let too_many = [1, 3, 5, 7, 9].map(|id| (id, "too-many"));
    assert_eq!(rejected, [&too_many[..], &[(5, "no-caption")]].concat());

    let out = folder.path().join("out");
    let map = r#"dataset.splits={ dev = "val" }"#;
    import_from(&out, &folder, "again", &["--set", map]).success();
    let (_, again) = open(&folder, "again");
    let splits: Vec<_> = again.images().iter().map(|image| &*image.split).collect();
    assert_eq!(splits, ["train", "train", "train", "val", "extra"]);
    let texts: Vec<_> = again.captions().iter().map(|it| &*it.caption).collect();
    let expected = [
        "a dog runs",
        "a hündchen sleeps",
        "a <unk> on the mat",
        "<unk>",
        "a dog",
    ];
    assert_eq!(texts, expected);
}

/// A damaged file is either refused or read; the program never crashes.
#[test]
fn no_flipped_byte_is_a_panic() {
    let bytes = std::fs::read(fixture().join(format!("VAL_IMAGES_{BASE}.hdf5"))).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("images.hdf5");
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(images) = Images::open(&path) {
            let _ = images.read(0);
        }
    }
}
