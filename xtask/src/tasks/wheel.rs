//! `cargo xtask wheel`: builds the Python package of the scores, and tests it.

use crate::child;
use crate::setup::cache::Cache;
use crate::workspace::Workspace;
use attend_program::Result;
use std::path::PathBuf;
use std::process::Command;

/// Command line of `cargo xtask wheel`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to write the wheel to
    #[arg(long, value_name = "DIR", default_value = "target/wheels")]
    output: PathBuf,
}

/// Builds and tests the wheel in an environment of its own.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg(workspace.root.join("crates/score-py/check.py"));
    command.arg(Cache::locate()?.root.join("python-scores"));
    child::run_ok(command.arg(&args.output))
}
