//! `cargo xtask fetch`: downloads data sets and weights that others publish.

use crate::child;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::Result;
use std::path::PathBuf;

/// Command line of `cargo xtask fetch`, which is that of `attend-fetch`.
#[derive(clap::Args)]
pub struct Args {
    /// What to download [default: list what there is]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The folder to download to
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Another server, which has the files under the same paths or under their
    /// names alone
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Only say what would be downloaded, and how much
    #[arg(long)]
    dry_run: bool,
    /// A list of your own, in the form of crates/fetch/src/list.toml
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
}

/// Passes the arguments on to `attend-fetch`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let programs = Programs::prepare(workspace, ["attend-fetch"], None)?;
    let mut command = programs.command(&["attend-fetch".to_owned()])?;
    command.args(&args.names).arg("--to").arg(&args.to);
    if let Some(mirror) = &args.mirror {
        command.args(["--mirror", mirror]);
    }
    if args.dry_run {
        command.arg("--dry-run");
    }
    if let Some(list) = &args.list {
        command.arg("--list").arg(list);
    }
    child::run_ok(&mut command)
}
