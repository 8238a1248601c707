//! Runs the program on the tables of `fixtures/generate.py`, which also made the expected
//! output.
#![allow(clippy::unwrap_used)] // helpers of tests

use attend_artifact::Record;
use attend_artifact::dataset::CaptionRecord;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn stats<P: AsRef<Path>>(folders: &[P], options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-stats"));
    command.args(folders.iter().map(|folder| folder.as_ref()));
    command.args(options).output().unwrap()
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Equal up to the rounding of floats.
fn assert_same(ours: &Value, expected: &Value, place: &str) {
    match (ours, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let difference = (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
            assert!(difference < 1e-12, "{place}: {a} for {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                assert_same(a, b, &format!("{place}[{i}]"));
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{place}: {a:?} for {b:?}");
            for (key, a) in a {
                assert_same(a, &b[key], &format!("{place}.{key}"));
            }
        }
        (a, b) => assert_eq!(a, b, "{place}"),
    }
}

#[test]
fn answers_are_those_of_python() {
    let folders = [fixtures().join("dataset"), fixtures().join("vocabulary")];
    let ours: Value = serde_json::from_str(&stdout(stats(&folders, &["--json"]))).unwrap();
    let text = std::fs::read(fixtures().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    for answer in ["splits", "sizes", "rejected"] {
        assert_same(&ours[answer], &expected[answer], answer);
    }
    let vocabulary = &ours["vocabulary"];
    assert_same(&vocabulary["splits"], &expected["coverage"], "coverage");
    assert_eq!(vocabulary["words"], 7);
    assert_eq!(vocabulary["counted_on_this_dataset"], true);
}

#[test]
fn tables_are_aligned() {
    let folders = [fixtures().join("dataset"), fixtures().join("vocabulary")];
    let text = stdout(stats(&folders, &[]));
    let table = "
  split  images  captions  captions per image  words mean  words median  words max  tokens  types
  train       3         5                1.67        4.20          5.00          7      21     14
  val         1         2                2.00        8.50          8.50         15      17     10
  test        1         1                1.00        3.00          3.00          3       3      3
  extra       1         0                0.00           -             -          -       -      -
  all         6         8                1.33        5.12          4.00         15      41     24
";
    assert!(text.contains(table), "{text}");
    let table = "
  kind     reason     count
  image    truncated      2
  image    missing        1
  caption  empty          1
";
    assert!(text.contains(table), "{text}");
    assert!(text.contains("7 words seen at least 2 times\n"), "{text}");
}

#[test]
fn a_data_set_alone_has_no_coverage() {
    let text = stdout(stats(&[fixtures().join("dataset")], &[]));
    assert!(!text.contains("vocabulary"), "{text}");
}

#[test]
fn words_are_those_of_the_vocabularys_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let [dataset, vocabulary] = ["dataset", "vocabulary"].map(|name| folder.path().join(name));
    for name in ["dataset", "vocabulary"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        for file in fixtures().join(name).read_dir().unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(name).join(file.file_name())).unwrap();
        }
    }
    let caption = CaptionRecord {
        caption_id: 0,
        image_id: 10,
        split: "train".into(),
        caption: "红色的图片，的。".into(),
    };
    CaptionRecord::write(&dataset.join("captions.parquet"), &[caption]).unwrap();
    let words = r#"{"tokenizer": "unicode-words", "min_count": 1, "max_length": 50, "words": [{"word": "的"}]}"#;
    std::fs::write(vocabulary.join("vocab.json"), words).unwrap();
    let json = stdout(stats(&[&dataset, &vocabulary], &["--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["splits"][0]["tokens"], 6);
    assert_eq!(json["splits"][0]["types"], 5);
    let coverage = json["vocabulary"]["splits"][0]["token_coverage"].as_f64();
    assert!((coverage.unwrap() - 2.0 / 6.0).abs() < 1e-12, "{json}");
    std::fs::write(
        vocabulary.join("vocab.json"),
        words.replace("unicode", "other"),
    )
    .unwrap();
    let output = stats(&[&dataset, &vocabulary], &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("vocab.json: ") && stderr.contains("other-words"),
        "{stderr}"
    );
}

#[test]
fn wrong_folders_are_named_with_the_way_out() {
    let fails = |folders: &[PathBuf], message: &str| {
        let output = stats(folders, &[]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(message), "{stderr}");
        assert!(output.stdout.is_empty());
    };
    let dataset = fixtures().join("dataset");
    let vocabulary = fixtures().join("vocabulary");
    fails(&[fixtures().join("nowhere")], "nowhere: no such folder");
    fails(&[fixtures()], "no manifest.json");
    fails(
        std::slice::from_ref(&vocabulary),
        "\"dataset\" is needed here",
    );
    fails(
        &[dataset.clone(), dataset.clone()],
        "\"vocabulary\" is needed here",
    );

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().to_owned();
    for file in [
        "manifest.json",
        "images.parquet",
        "captions.parquet",
        "rejected.parquet",
    ] {
        std::fs::copy(dataset.join(file), copy.join(file)).unwrap();
    }
    std::fs::copy(copy.join("rejected.parquet"), copy.join("images.parquet")).unwrap();
    fails(std::slice::from_ref(&copy), "images.parquet: ");
    std::fs::write(copy.join("images.parquet"), "text").unwrap();
    fails(std::slice::from_ref(&copy), "images.parquet: ");
    std::fs::remove_file(copy.join("images.parquet")).unwrap();
    fails(std::slice::from_ref(&copy), "images.parquet: ");
    let manifest = r#"{"kind":"dataset","schema":2,"inputs":{},"digest":""}"#;
    std::fs::write(copy.join("manifest.json"), manifest).unwrap();
    fails(std::slice::from_ref(&copy), "schema version 2 is newer");
    std::fs::write(copy.join("manifest.json"), "{").unwrap();
    fails(std::slice::from_ref(&copy), "manifest.json: EOF");
}

/// A picture of 32 x 32 pixels in cells of random brightness, brighter by `gain`.
fn picture(seed: u64, gain: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let cells: Vec<u64> = (0..256)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 200
        })
        .collect();
    let plane: Vec<u8> = (0..1024)
        .map(|i| (cells[i / 64 * 16 + i % 32 / 2] + gain) as u8)
        .collect();
    plane.repeat(3)
}

fn leaking(folder: &Path) {
    let pixels = |id: i64| match id {
        100 => picture(3, 0),  // as train's 3
        101 => picture(5, 20), // brighter than train's 5
        200 => picture(5, 20), // as val's 101
        id => picture(id as u64 + 1000 * u64::from(id > 50), 0),
    };
    let captions = |id: i64| -> Vec<String> {
        let captions: &[&str] = match id {
            0 | 1 => &["A dog runs .", "a cat"],
            100 => &["a dog runs", "two birds"],
            101 => &["A dog, runs!", "A CAT"],
            102 | 103 => &["two birds", "\u{1b}[31mred"],
            200 => &["two birds"],
            _ => &["something else"],
        };
        captions
            .iter()
            .map(|caption| (*caption).to_owned())
            .collect()
    };
    let split = |name, first, count| attend_testing::Split { name, first, count };
    attend_testing::DataSet {
        side: 32,
        splits: &[
            split("train", 0, 20),
            split("val", 100, 4),
            split("test", 200, 1),
        ],
        pixels: &pixels,
        captions: &captions,
        objects: &[],
    }
    .write(folder);
}

#[test]
fn leaks_are_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("dataset");
    leaking(&dataset);
    let json = stdout(stats(&[&dataset], &["--leaks", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let photographs = |row: usize| {
        let row = &json["photographs"][row];
        (
            row["split"].as_str().unwrap(),
            row["compared_with"].as_str().unwrap(),
            row["equal"].as_u64().unwrap(),
            row["near"].as_u64().unwrap(),
        )
    };
    assert_eq!(photographs(0), ("val", "train", 1, 1));
    assert_eq!(photographs(1), ("test", "train", 0, 1));
    assert_eq!(photographs(2), ("test", "val", 1, 0));
    let rate = json["photographs"][0]["near_or_equal_rate"].as_f64();
    assert_eq!(rate, Some(0.5));
    let pairs: Vec<_> = (json["pairs"].as_array().unwrap().iter())
        .map(|pair| {
            [&pair["image"]["image_id"], &pair["other"]["image_id"]].map(|id| id.as_i64().unwrap())
        })
        .collect();
    assert_eq!(pairs.len(), 4);
    for pair in [[100, 3], [101, 5], [200, 5], [200, 101]] {
        assert!(pairs.contains(&pair), "{pair:?} {pairs:?}");
    }
    let captions = &json["captions"][0];
    for (name, value) in [
        ("captions", 8),
        ("shared", 3),
        ("images", 4),
        ("with_any", 2),
        ("with_only", 1),
    ] {
        assert_eq!(captions[name], value, "{name}");
    }
    assert_eq!(captions["with_any_rate"].as_f64(), Some(0.5));
    let first = &json["sentences"][0];
    assert_eq!(
        (
            first["caption"].as_str(),
            first["train"].as_i64(),
            first["val"].as_i64()
        ),
        (Some("a dog runs"), Some(2), Some(2))
    );

    let text = stdout(stats(&[&dataset], &["--leaks"]));
    for words in [
        "near: at most 64 of the 512 bits",
        "the nearest pairs (4 of 4)",
        "equal  val    100.png",
        "val shares both photographs and captions with train: 50.0 % of its images have a caption of train's, 50.0 % a photograph",
        "test shares photographs, not captions with train: 0.0 %",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains('\u{1b}'));
    // Without a vocabulary's tokenizer, words are the default's.
    let vocabulary = fixtures().join("vocabulary");
    let with = stdout(stats(&[&dataset, &vocabulary], &["--leaks"]));
    assert_eq!(with, text);
}

#[test]
fn one_split_shares_nothing_and_a_damaged_data_set_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("dataset");
    let split = attend_testing::Split {
        name: "test",
        first: 0,
        count: 3,
    };
    attend_testing::DataSet {
        side: 1,
        splits: &[split],
        pixels: &|_| vec![7; 3],
        captions: &|_| vec!["x".into()],
        objects: &[],
    }
    .write(&dataset);
    let text = stdout(stats(&[&dataset], &["--leaks"]));
    assert!(text.contains("one split only"), "{text}");
    std::fs::write(dataset.join("shards/test-00000.arrow"), "damaged").unwrap();
    let refused = stats(&[&dataset], &["--leaks"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    // Its tables alone are whole.
    stdout(stats(&[&dataset], &[]));
}
