//! `attend-ingest`: makes a `dataset` artifact from photographs and captions.

use attend_artifact::stage;
use attend_ingest::init;
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "init") {
        let args = init::Args::parse_from(&arguments[1..]);
        return attend_program::program(|| init::init(&args));
    }
    let usage = "attend-ingest init --data PATH looks at a data set and writes a config for it";
    stage::main_with(
        &attend_ingest::SPEC,
        arguments,
        usage,
        attend_ingest::check,
        attend_ingest::run,
    )
}
