//! On real photographs, where `ATTEND_DATA` names the folder that holds them.

use crate::open;
use std::path::PathBuf;
use tempfile::TempDir;

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("ATTEND_DATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("skipped: ATTEND_DATA is not set");
    }
    data
}

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
fn the_small_sets_come_in_whole() {
    if data().is_none() {
        return;
    }
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
