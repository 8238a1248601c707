//! `attend-ingest`: loose photographs and captions in, a `dataset` artifact out;
//! and the files of the PyTorch tutorial, in both directions.

use attend_artifact::stage;
use attend_ingest::hdf5::{ExportArgs, HELP, export, import_arguments};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().any(|argument| argument == "--export") {
        let args = ExportArgs::parse();
        return stage::program(|| export(&args));
    }
    match import_arguments(std::env::args_os().collect()) {
        Ok(arguments) => {
            stage::main_with(&attend_ingest::SPEC, arguments, HELP, attend_ingest::run)
        }
        Err(error) => stage::program(|| Err(error)),
    }
}
