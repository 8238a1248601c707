//! `attend-ingest`: makes a `dataset` artifact from photographs and captions.

use attend_artifact::stage;
use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(
        &attend_ingest::SPEC,
        attend_ingest::check,
        attend_ingest::run,
    )
}
