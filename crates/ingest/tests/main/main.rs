//! The stage as a program: makes artifacts from small data sets and reads them.

#![allow(clippy::unwrap_used, clippy::panic)] // a helper that fails fails its test

mod again;
mod archives;
mod columnar;
mod data;
mod disguises;
mod errors;
mod hostile;
mod init;
mod layouts;
mod ledger;
mod page;
mod real;
mod reproducible;
mod samples;
mod split;
mod tables;

use assert_cmd::Command;
use attend_artifact::Artifact;
use attend_artifact::dataset::Dataset;
use std::path::Path;
use tempfile::TempDir;

/// Runs the stage on `folder/root`, into `folder/output`.
pub fn ingest(folder: &TempDir, output: &str, set: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("attend-ingest").unwrap();
    command.arg("--output").arg(folder.path().join(output));
    command
        .arg("--set")
        .arg(format!("dataset.root={:?}", folder.path().join("root")));
    for item in set {
        command.args(["--set", item]);
    }
    command.assert()
}

/// Opens the artifact and compares its files with the manifest.
pub fn open(folder: &TempDir, output: &str) -> (Artifact, Dataset) {
    let artifact = Artifact::open_kind(&folder.path().join(output), "dataset").unwrap();
    artifact.verify().unwrap();
    let dataset = Dataset::open(&artifact).unwrap();
    (artifact, dataset)
}

/// A folder `root` with files `(name, content)`.
pub fn data_set(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        write(&folder.path().join("root").join(name), content);
    }
    folder
}

/// Writes a file and creates its folders.
pub fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// An image fixture of the crate `attend-image`.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../image/tests/fixtures")
            .join(name),
    )
    .unwrap()
}
