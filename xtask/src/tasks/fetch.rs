//! `cargo xtask fetch`: downloads data sets and weights that others publish.

use crate::child;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::Result;
use std::ffi::OsString;

/// Command line of `cargo xtask fetch`, which is that of `attend-fetch`.
#[derive(clap::Args)]
#[command(override_usage = "cargo xtask fetch [NAME... --to DIR]")]
pub struct Args {
    /// What to download [default: list what there is]; --to DIR: the folder to download to;
    /// --dry-run: only say what would be downloaded, and how much; --mirror URL: another
    /// server; and every other option of attend-fetch
    #[arg(
        value_name = "NAMES AND OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Passes the arguments on to `attend-fetch`.
pub fn run(workspace: &Workspace, args: Args) -> Result<()> {
    let programs = Programs::prepare(workspace, ["attend-fetch"], None)?;
    let mut command = programs.command(&["attend-fetch".to_owned()])?;
    child::run_ok(command.args(args.arguments))
}
