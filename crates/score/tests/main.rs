//! Tests the program from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};

struct World(tempfile::TempDir);

impl World {
    /// Two images with references, and a result for each.
    fn new() -> World {
        let world = World(tempfile::tempdir().unwrap());
        world.write(
            "references.json",
            json!({"images": [{"id": 7, "file_name": "7.jpg"}], "annotations": [
                {"id": 1, "image_id": 7, "caption": "A dog runs on the beach."},
                {"id": 2, "image_id": 7, "caption": "The dog (brown) is running."},
                {"id": 3, "image_id": 9, "caption": "Two red buses at night."},
            ]})
            .to_string(),
        );
        world.write(
            "results.json",
            json!([
                {"image_id": 9, "caption": "Two red buses."},
                {"image_id": 7, "caption": "A brown dog runs on the beach"},
            ])
            .to_string(),
        );
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, references: &[&str], results: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-score"));
        command.current_dir(self.0.path()).arg("--references");
        command.args(references).args(["--results", results]);
        // METEOR's data of the machine's user must not be found.
        command.args(more).env("ATTEND_METEOR", "none");
        command.output().unwrap()
    }

    fn json(&self, references: &[&str], results: &str, more: &[&str]) -> Value {
        let output = self.run(references, results, &[&["--json"], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self, references: &[&str], results: &str, more: &[&str], words: &[&str]) {
        let output = self.run(references, results, more);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        for words in words {
            assert!(said(&output).contains(words), "{words}: {}", said(&output));
        }
        assert_eq!(said(&output).matches("error:").count(), 1);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_forms_of_input_score_the_same() {
    let world = World::new();
    let coco = world.json(&["references.json"], "results.json", &[]);
    assert_eq!(coco["images"], 2);
    assert_eq!(coco["references"], 3);
    let bleu1 = coco["scores"]["bleu1"].as_f64().unwrap();
    // every word is in a reference; 7 + 3 words stand for 7 ("the dog -lrb- brown
    // -rrb- is running") + 5
    assert!(
        (bleu1 - (1.0f64 - 12.0 / 10.0).exp()).abs() < 1e-8,
        "{coco}"
    );
    assert!(coco["scores"]["meteor"].is_null() && coco["scores"]["cider"].is_f64());

    let sentence = |raw: &str| json!({"raw": raw, "sentid": 0, "tokens": []});
    world.write(
        "dataset.json",
        json!({"dataset": "x", "images": [
            {"imgid": 0, "cocoid": 7, "filename": "a", "split": "test", "sentences":
                [sentence("A dog runs on the beach."), sentence("The dog (brown) is running.")]},
            {"imgid": 1, "cocoid": 9, "filename": "b", "split": "test", "sentences":
                [sentence("Two red buses at night.")]},
            {"imgid": 2, "cocoid": 11, "filename": "c", "split": "train", "sentences":
                [sentence("Nobody asks.")]},
        ]})
        .to_string(),
    );
    let karpathy = world.json(&["dataset.json"], "results.json", &["--split", "test"]);
    assert_eq!(karpathy, coco);

    world.write(
        "a.txt",
        "Two red buses at night.\nA dog runs on the beach.\n",
    );
    world.write("b.txt", "\nThe dog (brown) is running.\n");
    world.write(
        "said.txt",
        "Two red buses.\nA brown dog runs on the beach\n",
    );
    let lines = world.json(&["a.txt", "b.txt"], "said.txt", &[]);
    assert_eq!(lines, coco);
}

#[test]
fn the_table_shows_what_was_asked_for() {
    let world = World::new();
    let output = world.run(
        &["references.json"],
        "results.json",
        &["--metrics", "rouge,cider"],
    );
    let table = String::from_utf8_lossy(&output.stdout);
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("2 images, 3 references; scores times 100")
    );
    assert_eq!(lines.nth(1), Some("  ROUGE-L   CIDEr"));
    let output = world.run(
        &["references.json"],
        "results.json",
        &["--metrics", "spice"],
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn each_image_has_a_row() {
    let world = World::new();
    world.json(
        &["references.json"],
        "results.json",
        &["--per-image", "rows.parquet"],
    );
    let file = std::fs::File::open(world.path("rows.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 16).unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let names: Vec<_> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let expected = [
        "image_id", "caption", "bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider",
    ];
    assert_eq!(names, expected);
    assert_eq!(batch.num_rows(), 2);
    let ids = batch
        .column(0)
        .as_any()
        .downcast_ref::<arrow_array::Int64Array>()
        .unwrap();
    assert_eq!(ids.values(), &[9, 7]);
}

#[test]
fn frequencies_of_a_split_can_be_kept() {
    let world = World::new();
    let save = ["--save-frequencies", "train.df"];
    let with = ["--frequencies", "train.df"];
    let first = world.json(&["references.json"], "results.json", &save);
    let same = world.json(&["references.json"], "results.json", &with);
    assert_eq!(first, same);
    world.write(
        "one.json",
        json!([{"image_id": 9, "caption": "Two red buses."}]).to_string(),
    );
    let alone = world.json(&["references.json"], "one.json", &[]);
    assert_eq!(alone["scores"]["cider"], 0.0); // of one image nothing is rare
    assert!(
        alone["notes"][0]
            .as_str()
            .unwrap()
            .contains("one image only")
    );
    let frozen = world.json(&["references.json"], "one.json", &with);
    assert!(frozen["scores"]["cider"].as_f64().unwrap() > 1.0);
    assert_eq!(frozen["notes"], json!([]));
    world.write("train.df", "no table");
    world.refused(
        &["references.json"],
        "one.json",
        &with,
        &["train.df", "line 1"],
    );
}

#[test]
fn what_the_tool_accepts_is_counted_and_named() {
    let world = World::new();
    world.write(
        "one.json",
        json!([{"image_id": 9, "caption": " "}]).to_string(),
    );
    let output = world.run(&["references.json"], "one.json", &["--json"]);
    assert!(said(&output).contains("1 of 2 images have no result (the first: 7)"));
    assert!(said(&output).contains("1 results are empty captions"));
    let scores: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(scores["without_result"], json!([7]));
    assert_eq!(
        (&scores["empty_results"], &scores["scores"]["bleu1"]),
        (&json!(1), &json!(0.0))
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let world = World::new();
    let caption = |id: i64| json!({"image_id": id, "caption": "a dog"});
    world.write(
        "twice.json",
        json!([caption(7), caption(9), caption(7)]).to_string(),
    );
    world.refused(
        &["references.json"],
        "twice.json",
        &[],
        &["twice.json", "image 7", "[0] and [2]"],
    );
    world.write("other.json", json!([caption(7), caption(8)]).to_string());
    world.refused(
        &["references.json"],
        "other.json",
        &[],
        &["other.json: [1]", "image 8"],
    );
    world.write("cut.json", "[{\"image_id\": 7,\n \"capt");
    world.refused(
        &["references.json"],
        "cut.json",
        &[],
        &["cut.json: line 2, column", "ends too early"],
    );
    world.write("bytes.json", b"[{\"image_id\": 7, \"caption\": \"\xFF\"}]");
    world.refused(
        &["references.json"],
        "bytes.json",
        &[],
        &["bytes.json: line 1"],
    );
    world.write("lone.json", r#"[{"image_id": 7, "caption": "\ud83d"}]"#);
    world.refused(
        &["references.json"],
        "lone.json",
        &[],
        &["lone.json: line 1"],
    );
    world.write("empty.json", "[]");
    world.refused(
        &["references.json"],
        "empty.json",
        &[],
        &["holds no results"],
    );
    world.refused(
        &["references.json"],
        "references.json",
        &[],
        &["references.json: image 7 has two results, annotations[0] and annotations[1]"],
    );
    world.refused(&["nothing.json"], "results.json", &[], &["nothing.json"]);
    world.refused(&["."], "results.json", &[], &["a folder"]);
    world.write("a.txt", "one\ntwo\n");
    world.write("b.txt", b"one\ntwo \xC3\n");
    world.refused(
        &["a.txt", "b.txt"],
        "a.txt",
        &[],
        &["b.txt: line 2: not UTF-8"],
    );
    world.write("c.txt", "one\n");
    world.refused(
        &["a.txt", "c.txt"],
        "a.txt",
        &[],
        &["c.txt: 1 lines", "a.txt has 2"],
    );
    world.refused(
        &["references.json"],
        "results.json",
        &["--metrics", "meteor"],
        &["cargo xtask setup --meteor", "--meteor-data"],
    );
}

#[test]
fn the_rest_is_scored_without_the_data_of_meteor() {
    let world = World::new();
    let output = world.run(&["references.json"], "results.json", &[]);
    assert!(output.status.success() && said(&output).contains("no METEOR"));
    let table = String::from_utf8_lossy(&output.stdout);
    let dash = table.lines().last().unwrap().split_whitespace().nth(4);
    assert_eq!(dash, Some("-"), "{table}");
}

#[test]
fn a_cider_that_can_only_be_0_is_said_to_be_so() {
    let world = World::new();
    let alike = |id: i64| json!({"image_id": id, "caption": "A field."});
    world.write(
        "alike.json",
        json!([alike(1), alike(2), alike(3)]).to_string(),
    );
    let output = world.run(&["alike.json"], "alike.json", &["--metrics", "bleu,cider"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("CIDEr is 0 by its formula"), "{table}");
    let json = world.json(&["alike.json"], "alike.json", &[]);
    assert_eq!(json["scores"]["cider"], 0.0);
    assert!(json["scores"]["bleu1"].as_f64().unwrap() > 0.99);
    // one of three differs: no note
    world.write(
        "other.json",
        json!([alike(1), alike(2), {"image_id": 3, "caption": "A bus."}]).to_string(),
    );
    let json = world.json(&["other.json"], "other.json", &[]);
    assert_eq!(json["notes"], json!([]));
    assert!(json["scores"]["cider"].as_f64().unwrap() > 0.1);
}

#[test]
fn what_a_file_is_shows_in_its_content() {
    let world = World::new();
    let coco = world.json(&["references.json"], "results.json", &[]);
    let results = "{\"image_id\": 9, \"caption\": \"Two red buses.\"}\n{\"image_id\": 7, \"caption\": \"A brown dog runs on the beach\"}\n";
    world.write("results.jsonl", results);
    assert_eq!(world.json(&["references.json"], "results.jsonl", &[]), coco);
    world.write(
        "results",
        "\u{feff}image,caption\n9.jpg,Two red buses.\n7.jpg,A brown dog runs on the beach\n",
    );
    let by_name = ["--per-image", "rows.parquet"];
    assert_eq!(world.json(&["references.json"], "results", &by_name), coco);
    let file = std::fs::File::open(world.path("rows.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 16).unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let ids = batch
        .column(0)
        .as_any()
        .downcast_ref::<arrow_array::StringArray>();
    assert_eq!(
        ids.unwrap().iter().flatten().collect::<Vec<_>>(),
        ["9.jpg", "7.jpg"]
    );
    // Flickr8k's own file, in which lines don't correspond to images
    world.write("token.txt", "9.jpg#0\tTwo red buses at night.\n7.jpg#0\tA dog runs on the beach.\n7.jpg#1\tThe dog (brown) is running.\n");
    assert_eq!(world.json(&["token.txt"], "results", &[]), coco);
    world.write("results.pdf", "%PDF-1.7\n");
    world.refused(
        &["references.json"],
        "results.pdf",
        &[],
        &["results.pdf: a PDF"],
    );
}

#[test]
fn many_at_once_write_one_table() {
    let world = World::new();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    world.json(
                        &["references.json"],
                        "results.json",
                        &["--per-image", "rows.parquet"],
                    )
                });
            }
        });
    }
    let names = world.0.path().read_dir().unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["references.json", "results.json", "rows.parquet"]);
}
