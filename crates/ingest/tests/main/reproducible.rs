//! The digest does not depend on threads, neighbours and interruptions.

use crate::{data_set, fixture, ingest, open, write};
use attend_artifact::Artifact;
use std::collections::BTreeMap;
use tempfile::TempDir;

pub const SET: [&str; 2] = ["dataset.shard_size=8", "dataset.image_size=32"];
pub const IMAGES: usize = 50;

/// Fifty images of ten files, in two splits.
pub fn fifty() -> TempDir {
    let names = [
        "rgb420.jpg",
        "rgb422.jpg",
        "rgb444.jpg",
        "progressive.jpg",
        "grey.jpg",
        "cmyk.jpg",
        "ycck.jpg",
        "palette.png",
        "rgba.png",
        "lossless.webp",
    ];
    let entry = |i: usize| {
        let split = if i.is_multiple_of(3) { "val" } else { "train" };
        format!(
            r#"{{"filename": "{i}-{}", "imgid": {i}, "split": "{split}",
                "sentences": [{{"raw": "picture {i}", "sentid": {i}}}]}}"#,
            names[i % names.len()]
        )
    };
    let list: Vec<String> = (0..IMAGES).map(entry).collect();
    let folder = data_set(&[(
        "dataset_coco.json",
        format!(r#"{{"images": [{}]}}"#, list.join(",")).as_bytes(),
    )]);
    for i in 0..IMAGES {
        let name = names[i % names.len()];
        write(
            &folder.path().join(format!("root/{i}-{name}")),
            &fixture(name),
        );
    }
    folder
}

pub fn digests(folder: &TempDir, output: &str) -> (String, BTreeMap<String, String>) {
    let artifact = Artifact::open(&folder.path().join(output)).unwrap();
    let files = artifact
        .manifest
        .files
        .iter()
        .map(|file| (file.name.clone(), file.blake3.clone()));
    (artifact.manifest.digest.clone(), files.collect())
}

pub fn run(
    folder: &TempDir,
    output: &str,
    jobs: &str,
    more: &[&str],
) -> assert_cmd::assert::Assert {
    let mut command = assert_cmd::Command::cargo_bin("attend-ingest").unwrap();
    command
        .arg("--output")
        .arg(folder.path().join(output))
        .args(["--jobs", jobs]);
    let root = format!("dataset.root={:?}", folder.path().join("root"));
    for item in [&SET[..], &[&root], more].concat() {
        command.args(["--set", item]);
    }
    command.assert()
}

#[test]
fn any_number_of_threads() {
    let folder = fifty();
    for jobs in ["1", "2", "7"] {
        run(&folder, jobs, jobs, &[]).success();
    }
    assert_eq!(digests(&folder, "1"), digests(&folder, "2"));
    assert_eq!(digests(&folder, "1"), digests(&folder, "7"));
    assert_eq!(open(&folder, "1").1.images().len(), IMAGES);
    assert_eq!(digests(&folder, "1").1.len(), 4 + 5 + 3); // tables, train, val
}

#[test]
fn a_bad_photograph_changes_its_own_shard_alone() {
    let folder = fifty();
    run(&folder, "whole", "2", &[]).success();
    // Number 10 is the seventh image of train.
    write(
        &folder.path().join("root/10-rgb420.jpg"),
        &fixture("cut.jpg"),
    );
    run(
        &folder,
        "less",
        "2",
        &["dataset.max_rejected_fraction=0.02"],
    )
    .success();
    let (whole, less) = (digests(&folder, "whole").1, digests(&folder, "less").1);
    let changed: Vec<_> = whole
        .iter()
        .filter(|(name, digest)| name.starts_with("shards/") && less.get(*name) != Some(*digest))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(changed, ["shards/train-00000.arrow"]);
    let rows = open(&folder, "less").1;
    let tail: Vec<_> = rows
        .images()
        .iter()
        .filter(|i| i.shard == changed[0])
        .map(|i| (i.image_id, i.row))
        .collect();
    assert_eq!(
        tail,
        [(1, 0), (2, 1), (4, 2), (5, 3), (7, 4), (8, 5), (11, 6)]
    );
}

/// A run that ends before its commit leaves its shards; the next one uses them and their
/// notes, and decodes no photograph again.
#[test]
fn goes_on_from_finished_shards() {
    let folder = fifty();
    write(
        &folder.path().join("root/10-rgb420.jpg"),
        &fixture("cut.jpg"),
    );
    run(
        &folder,
        "fresh",
        "2",
        &["dataset.max_rejected_fraction=0.02"],
    )
    .success();

    run(&folder, "out", "2", &["dataset.max_rejected_fraction=0.0"])
        .failure()
        .code(3);
    let staging = folder.path().join("out.staging");
    let shard = staging.join("shards/train-00000.arrow");
    let before = std::fs::metadata(&shard).unwrap().modified().unwrap();
    // As if the machine had stopped in the middle of the last shard.
    std::fs::write(staging.join("shards/val-00002.arrow"), b"half").unwrap();
    run(&folder, "out", "2", &["dataset.max_rejected_fraction=0.02"]).success();

    assert_eq!(digests(&folder, "out"), digests(&folder, "fresh"));
    open(&folder, "out");
    let after = folder
        .path()
        .join("out/shards/train-00000.arrow")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
    assert!(!staging.exists() && !folder.path().join("out/.scratch").exists());
}

#[test]
fn runs_again_only_where_something_changed() {
    let folder = fifty();
    let log = |run: assert_cmd::assert::Assert| {
        String::from_utf8_lossy(&run.success().get_output().stderr).into_owned()
    };
    assert!(!log(run(&folder, "out", "2", &[])).contains("up to date"));
    assert!(log(run(&folder, "out", "1", &[])).contains("up to date"));
    write(
        &folder.path().join("root/0-rgb420.jpg"),
        &fixture("progressive.jpg"),
    );
    assert!(!log(run(&folder, "out", "2", &[])).contains("up to date"));
    assert!(
        !log(run(&folder, "out", "2", &["dataset.exif_orientation=true"])).contains("up to date")
    );
    // The same data set in another place is the same artifact.
    let moved = TempDir::new().unwrap();
    std::fs::rename(folder.path().join("root"), moved.path().join("root")).unwrap();
    run(&moved, "out", "2", &["dataset.exif_orientation=true"]).success();
    assert_eq!(digests(&moved, "out"), digests(&folder, "out"));
}

#[test]
fn a_shard_without_rows_is_a_shard() {
    let annotations = br#"{"images": [
        {"filename": "gone.jpg", "imgid": 0, "split": "val", "sentences": [{"raw": "x", "sentid": 0}]},
        {"filename": "a.jpg", "imgid": 1, "split": "val", "sentences": [{"raw": "x", "sentid": 1}]}]}"#;
    let folder = data_set(&[
        ("dataset_coco.json", annotations),
        ("a.jpg", &fixture("grey.jpg")),
    ]);
    ingest(
        &folder,
        "out",
        &["dataset.shard_size=1", "dataset.max_rejected_fraction=0.5"],
    )
    .success();
    let (artifact, dataset) = open(&folder, "out");
    let rows: Vec<_> = artifact
        .manifest
        .files
        .iter()
        .filter(|f| f.name.starts_with("shards"))
        .map(|f| f.rows)
        .collect();
    assert_eq!(rows, [Some(0), Some(1)]);
    assert!(dataset.pixels(&dataset.images()[0]).is_ok());
}
