//! `cargo xtask verify PATH`: the judge of artifacts, ours or not.

use crate::child;
use crate::error::Result;
use crate::programs::Programs;
use crate::workspace::Workspace;
use std::path::PathBuf;

/// Hands the folders to `attend-verify`.
pub fn run(workspace: &Workspace, paths: &[PathBuf]) -> Result<()> {
    let programs = Programs::prepare(workspace, ["attend-verify"], None)?;
    child::run_ok(programs.command(&["attend-verify".to_owned()])?.args(paths))
}
