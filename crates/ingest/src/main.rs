//! `attend-ingest`: loose photographs and captions in, a `dataset` artifact out.

use std::process::ExitCode;

fn main() -> ExitCode {
    attend_artifact::stage::main(&attend_ingest::SPEC, attend_ingest::run)
}
