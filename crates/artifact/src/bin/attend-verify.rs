//! `attend-verify PATH…`: the judge of artifacts. Reads every file and compares
//! it with the manifest, and opens what has a typed view.

use attend_artifact::features::Features;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Record, Result, dataset::Dataset, output, stage, text};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Verifies artifacts: manifest, sizes, BLAKE3 of every file, types.
#[derive(Parser)]
#[command(name = "attend-verify", version)]
struct Args {
    /// Folders of artifacts
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::program(|| {
        let results: Vec<Result<()>> = args.paths.iter().map(|path| verify(path)).collect();
        let mut worst = Ok(());
        for result in results {
            if let Err(error) = result {
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

fn verify(path: &Path) -> Result<()> {
    let artifact = Artifact::open(path)?;
    artifact.verify()?;
    match artifact.manifest.kind.as_str() {
        "dataset" => drop(Dataset::open(&artifact)?),
        "features" => drop(Features::open(&artifact)?),
        "vocabulary" => {
            Vocabulary::open(&artifact)?;
            EncodedRecord::read(&artifact.file("encoded.parquet")?)?;
        }
        _ => {}
    }
    let bytes: u64 = artifact.manifest.files.iter().map(|file| file.bytes).sum();
    output::print(format_args!(
        "{}: {} {}, {} files, {bytes} bytes, all as the manifest says",
        text::escaped(&path.display().to_string()),
        artifact.manifest.kind,
        artifact.short_digest(),
        artifact.manifest.files.len()
    ))
    .map(drop)
}
