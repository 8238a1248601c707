//! `cargo xtask seal PATH`: writes the manifest of an artifact whose files a program wrote.

use crate::child;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::Result;
use std::path::PathBuf;

/// Command line of `cargo xtask seal`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the files
    path: PathBuf,
    /// Kind of the artifact: dataset, vocabulary, features, model, evaluation or another word
    #[arg(long)]
    kind: String,
    /// Name of the program that wrote the files
    #[arg(long, value_name = "NAME")]
    producer: String,
    /// Its version
    #[arg(long, value_name = "VERSION", default_value = "")]
    producer_version: String,
    /// The parameters that shaped the files (TOML); all of it goes into the manifest
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What they were made from: an artifact of that kind, or a loose file
    #[arg(long, value_name = "KIND=PATH")]
    input: Vec<String>,
}

/// Passes the command line on to `attend-seal`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let programs = Programs::prepare(workspace, ["attend-seal"], None)?;
    let mut command = programs.command(&["attend-seal".to_owned()])?;
    command.arg(&args.path);
    command.args(["--kind", &args.kind, "--producer", &args.producer]);
    command.args(["--producer-version", &args.producer_version]);
    if let Some(config) = &args.config {
        command.arg("--config").arg(config);
    }
    command.args(args.input.iter().flat_map(|input| ["--input", input]));
    child::run_ok(&mut command)
}
