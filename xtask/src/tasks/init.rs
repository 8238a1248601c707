//! `cargo xtask init`: looks at a data set and writes a config for it.

use crate::child;
use crate::programs::Programs;
use crate::workspace::{Workspace, shown};
use attend_program::Result;
use std::path::PathBuf;

/// Command line of `cargo xtask init`, which is that of `attend-ingest init`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder or file of the data set
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Folder or archive of the photographs, if they are elsewhere
    #[arg(long, value_name = "PATH")]
    photographs: Option<PathBuf>,
    /// Which reading to take if several are possible
    #[arg(long = "as", value_name = "FORMAT")]
    format: Option<String>,
    /// File of the encoder's weights, or a TorchScript module [default: torchvision's
    /// ResNet-101, which `cargo xtask fetch` brings]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Name of the run and of the config [default: that of the folder or file]
    #[arg(long)]
    name: Option<String>,
    /// The config to write, or a folder for NAME.toml [default: configs/]
    #[arg(long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// Replace an existing config
    #[arg(long)]
    force: bool,
}

/// Passes the arguments on to `attend-ingest init`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let configs = match workspace.is_checkout() {
        true => workspace.root.join("configs"),
        false => PathBuf::from("configs"),
    };
    let programs = Programs::prepare(workspace, ["attend-ingest"], None)?;
    let mut command = programs.command(&["attend-ingest".to_owned(), "init".to_owned()])?;
    command.arg("--data").arg(&args.data);
    let output = args.output.clone();
    command
        .arg("--output")
        .arg(output.unwrap_or_else(|| shown(&configs).into()));
    let paths = [
        ("--photographs", &args.photographs),
        ("--weights", &args.weights),
    ];
    for (option, path) in paths {
        command.args(
            path.iter()
                .flat_map(|path| [option.as_ref(), path.as_os_str()]),
        );
    }
    for (option, word) in [("--as", &args.format), ("--name", &args.name)] {
        command.args(word.iter().flat_map(|word| [option, word.as_str()]));
    }
    if args.force {
        command.arg("--force");
    }
    child::run_ok(&mut command)
}
