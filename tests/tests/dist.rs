//! The archive that `cargo xtask dist` makes, in a bare root.
#![allow(clippy::unwrap_used)]

use attend_testing::Run;
use attend_tests::program;
use std::path::Path;
use std::process::Command;

/// A small demo: arguments of the task.
const DEMO: [&str; 9] = [
    "demo",
    "--set",
    "scenes.train=60",
    "--set",
    "scenes.val=8",
    "--set",
    "scenes.test=8",
    "--set",
    "train.epochs=1",
];

/// The artifacts' manifests of the demo.
fn manifests(artifacts: &Path) -> Vec<String> {
    let kinds = ["scenes", "dataset", "vocabulary", "model", "evaluation"];
    let read = |kind| {
        let file = artifacts.join("demo").join(kind).join("manifest.json");
        std::fs::read_to_string(file).unwrap()
    };
    kinds.map(read).to_vec()
}

#[test]
#[ignore = "writes 3 GB; needs root"]
fn an_archive_runs_where_there_is_nothing_but_the_system_s_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let xtask = || {
        let mut xtask = program("xtask");
        let programs = Path::new(xtask.get_program()).parent().unwrap().to_owned();
        xtask.env("ATTEND_BIN_DIR", programs);
        xtask
    };
    let archive = folder.path().join("attend.tar");
    xtask().arg("dist").arg("--output").arg(&archive).ok();
    let root = folder.path().join("root");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bare-root.sh");
    let mut bare = Command::new(script);
    bare.arg(&archive).arg(&root).args(DEMO);
    let ended = bare.args(["--artifacts", "/tmp/runs"]).output().unwrap();
    if ended.status.code() == Some(77) {
        eprintln!("no bare root can be made here: the archive was not tried");
        return;
    }
    let log = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{log}");
    let here = folder.path().join("here");
    xtask().args(DEMO).arg("--artifacts").arg(&here).ok();
    assert_eq!(manifests(&root.join("tmp/runs")), manifests(&here));
}
