//! `attend-hdf5`: exports and imports the PyTorch tutorial's files.

use attend_artifact::stage;
use attend_hdf5::{ExportArgs, SPEC, check, export, import};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Exports data sets as the HDF5 and JSON files of the PyTorch tutorial, and imports those
#[derive(Parser)]
#[command(name = "attend-hdf5", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Export(ExportArgs),
    /// Makes a dataset artifact from the tutorial's files; a stage, with the command line
    /// of all stages
    #[command(disable_help_flag = true)]
    Import {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

const IMPORT_HELP: &str = "The folder that holds the files: --set dataset.root=DIR";

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Export(args) => attend_program::program(|| export(&args)),
        Command::Import { arguments } => {
            let name = OsString::from("attend-hdf5 import");
            let arguments = std::iter::once(name).chain(arguments);
            stage::main_with(&SPEC, arguments, IMPORT_HELP, check, import)
        }
    }
}
