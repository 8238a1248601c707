//! Real photographs, if `ATTEND_DATA` names the folder with them.

use crate::{open, write};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

fn run(set: &[&str], folder: &TempDir, output: &str) {
    let mut command = assert_cmd::Command::cargo_bin("attend-ingest").unwrap();
    command.arg("--output").arg(folder.path().join(output));
    for item in set {
        command.args(["--set", item]);
    }
    command.assert().success();
}

/// The sizes that the sets' own documentation states; every photograph is usable.
#[test]
#[ignore = "needs ATTEND_DATA"]
fn the_small_sets_come_in_whole() {
    attend_testing::data();
    let sets: [(&[&str], [usize; 3]); 3] = [
        (&["dataset.root=${ATTEND_DATA}/coco-mini"], [448, 186, 177]),
        (
            &[
                "dataset.root=${ATTEND_DATA}/coco-mini",
                "dataset.format=coco",
            ],
            [60, 751, 0],
        ),
        (
            &[
                "dataset.root=${ATTEND_DATA}/flickr8k-mini",
                "dataset.format=flickr8k",
            ],
            [321, 37, 26],
        ),
    ];
    for (set, sizes) in sets {
        let folder = TempDir::new().unwrap();
        run(set, &folder, "out");
        let (_, dataset) = open(&folder, "out");
        let count = |split: &str| {
            dataset
                .images()
                .iter()
                .filter(|image| image.split == split)
                .count()
        };
        assert_eq!(["train", "val", "test"].map(count), sizes, "{set:?}");
        assert_eq!(dataset.captions().len(), 5 * dataset.images().len());
        assert!(dataset.rejected().is_empty(), "{:?}", dataset.rejected());
    }
}

/// A JPEG that leaves a decoder in a bad state, or leaves its tables there.
fn spoilt(mut jpeg: Vec<u8>, kind: usize) -> Vec<u8> {
    let marker = |kind| jpeg.windows(2).position(|two| two == [0xff, kind]).unwrap();
    let (tables, frame) = (marker(0xdb), marker(0xc0));
    match kind % 5 {
        0 => jpeg.splice(2..2, [0xff, 0xd8]).for_each(drop), // two SOI
        1 => jpeg[tables + 1] = 0xfe,                        // no quantisation tables
        2 => jpeg[frame + 1] = 0xf7,                         // JPEG-LS
        3 => jpeg[frame + 4] = 10,                           // bits
        _ => jpeg[frame + 5..frame + 7].fill(0),             // no rows
    }
    jpeg
}

/// All photographs of coco-mini, and a bad file after every twentieth.
fn with_bad_files(data: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    let list = std::fs::read(data.join("coco-mini/dataset_coco.json")).unwrap();
    let mut list: Value = serde_json::from_slice(&list).unwrap();
    let mut images = Vec::new();
    for (number, image) in list["images"].as_array().unwrap().iter().enumerate() {
        let path = |image: &Value| {
            let folder = image["filepath"].as_str().unwrap();
            format!("{folder}/{}", image["filename"].as_str().unwrap())
        };
        let file = std::fs::read(data.join("coco-mini").join(path(image))).unwrap();
        let root = folder.path().join("root");
        write(&root.join(path(image)), &file);
        images.push(image.clone());
        if number % 20 == 0 {
            let mut bad = image.clone();
            bad["filename"] = json!(format!("bad-{number}.jpg"));
            bad["cocoid"] = json!(10_000_000 + number);
            for sentence in bad["sentences"].as_array_mut().unwrap() {
                sentence["sentid"] = json!(sentence["sentid"].as_i64().unwrap() + 100_000_000);
            }
            write(&root.join(path(&bad)), &spoilt(file, number / 20));
            images.push(bad);
        }
    }
    list["images"] = images.into();
    write(
        &folder.path().join("root/dataset_coco.json"),
        list.to_string().as_bytes(),
    );
    folder
}

/// A photograph's pixels don't depend on other photographs, or on which ones a thread
/// decoded before: the digest is the same, and a lost shard can be made again.
#[test]
#[ignore = "needs ATTEND_DATA"]
fn bad_files_change_nothing_in_their_neighbours() {
    let data = attend_testing::data();
    let folder = with_bad_files(&data);
    let stage = |output: &str, jobs: &str, more: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("attend-ingest").unwrap();
        command.arg("--output").arg(folder.path().join(output));
        command.args(["--jobs", jobs]).args(more);
        let root = format!("dataset.root={:?}", folder.path().join("root"));
        let set = [
            &root,
            "dataset.image_size=64",
            "dataset.shard_size=100",
            "dataset.max_rejected_fraction=0.1",
        ];
        for item in set {
            command.args(["--set", item]);
        }
        command.assert().success();
        open(&folder, output).0
    };
    let first = stage("one", "1", &[]);
    assert_eq!(first.count("images"), 811);
    let reasons: Vec<_> = (first.manifest.counts.iter())
        .filter(|(name, _)| name.starts_with("rejected.") && !name.ends_with("image-rejected"))
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(
        reasons,
        [("rejected.corrupt", 25), ("rejected.unsupported", 16)]
    );
    for jobs in ["3", "2"] {
        assert_eq!(
            stage(jobs, jobs, &[]).manifest.digest,
            first.manifest.digest
        );
    }
    let shard = folder.path().join("3/shards/train-00002.arrow");
    std::fs::remove_file(shard).unwrap();
    assert_eq!(
        stage("3", "2", &["--repair"]).manifest.digest,
        first.manifest.digest
    );
}
