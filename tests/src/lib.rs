//! What the tests of whole pipelines, in `tests/tests/`, share.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![deny(missing_docs)]

use std::path::PathBuf;
use std::process::Command;

/// A program that `cargo test --workspace` has built. It finds no data of METEOR's, so that
/// evaluations are the same whatever the machine has.
pub fn program(name: &str) -> Command {
    let mut programs = std::env::current_exe().unwrap();
    programs.pop();
    programs.pop();
    let mut program = Command::new(programs.join(name));
    program.env("ATTEND_METEOR", "/no/such/folder");
    program
}

/// A run of earlier code (`fixtures/old.sh`): the folder that keeps it, and the run in it.
pub fn old_run() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let packed = flate2::read::GzDecoder::new(&include_bytes!("../fixtures/old.tar.gz")[..]);
    tar::Archive::new(packed).unpack(folder.path()).unwrap();
    let run = folder.path().join("run");
    (folder, run)
}
