//! `attend-verify PATH…`: checks artifacts. Reads every file, compares it with the
//! manifest, and checks that the files agree with each other.

use attend_artifact::{Artifact, verify};
use attend_program::{Error, Result, check_interrupt, output, program, text};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Verify artifacts: manifest, sizes, BLAKE3 and contents of every file
#[derive(Parser)]
#[command(name = "attend-verify", version)]
struct Args {
    /// Folders of artifacts
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program(|| {
        let mut worst = Ok(());
        for path in &args.paths {
            check_interrupt()?;
            for error in check(path).unwrap_or_else(|error| vec![error]) {
                if worst.is_err() {
                    tracing::error!("{error}");
                } else {
                    worst = Err(error);
                }
            }
        }
        worst
    })
}

/// Returns everything that is wrong with an artifact; prints a line if it is whole.
fn check(path: &Path) -> Result<Vec<Error>> {
    let artifact = Artifact::open(path)?;
    artifact.verify()?;
    let faults = verify::faults(&artifact)?;
    if !faults.is_empty() {
        return Ok(faults);
    }
    let bytes: u64 = artifact.manifest.files.iter().map(|file| file.bytes).sum();
    output::print(format_args!(
        "{}: {} {}, {} files, {bytes} bytes, all as the manifest says",
        text::escaped(&path.display().to_string()),
        artifact.manifest.kind,
        artifact.short_digest(),
        artifact.manifest.files.len()
    ))?;
    Ok(faults)
}
