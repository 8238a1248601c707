//! `attend-ingest`: photographs and captions in, a `dataset` artifact out.

use attend_artifact::stage;
use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(&attend_ingest::SPEC, attend_ingest::run)
}
