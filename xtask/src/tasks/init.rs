//! `cargo xtask init`: looks at a data set and writes a config for it.

use crate::child;
use crate::programs::Programs;
use crate::words::take;
use crate::workspace::{Workspace, shown};
use attend_program::Result;
use std::ffi::OsString;
use std::path::PathBuf;

/// Command line of `cargo xtask init`, which is that of `attend-ingest init`.
#[derive(clap::Args)]
#[command(override_usage = "cargo xtask init --data PATH [--name NAME]")]
pub struct Args {
    /// --data PATH: folder or file of the data set; --name NAME: name of the run and of the
    /// config in configs/ [default: that of the folder or file]; --weights FILE: weights of a
    /// ResNet, or a TorchScript module [default: torchvision's ResNet-101, which `cargo xtask
    /// fetch` brings]; --photographs PATH: their folder or archive, if they are elsewhere; --as
    /// FORMAT: the reading to take of several; and every other option of attend-ingest init
    #[arg(
        value_name = "OPTIONS",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Passes the arguments on to `attend-ingest init`.
pub fn run(workspace: &Workspace, args: Args) -> Result<()> {
    let mut rest = args.arguments;
    let configs = || match workspace.is_checkout() {
        true => shown(&workspace.root.join("configs")).into(),
        false => PathBuf::from("configs"),
    };
    let output = take(&mut rest, "--output")?.unwrap_or_else(configs);
    let programs = Programs::prepare(workspace, ["attend-ingest"], None)?;
    let mut command = programs.command(&["attend-ingest".to_owned(), "init".to_owned()])?;
    child::run_ok(command.args(rest).arg("--output").arg(output))
}
