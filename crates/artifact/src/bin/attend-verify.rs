//! `attend-verify PATH…`: the judge of artifacts. Reads every file and compares
//! it with the manifest, and opens what has a typed view.

use attend_artifact::features::Features;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Error, Record, Result, dataset::Dataset, model, stage};
use clap::Parser;
use std::io::Write;
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
        "features" => Features::open(&artifact)?.check_finite()?,
        "vocabulary" => {
            Vocabulary::open(&artifact)?;
            EncodedRecord::read(&artifact.file("encoded.parquet")?)?;
        }
        _ => {}
    }
    for file in &artifact.manifest.files {
        if file.name.ends_with(".safetensors") {
            model::check_finite(&artifact.root.join(&file.name))?;
        }
    }
    let bytes: u64 = artifact.manifest.files.iter().map(|file| file.bytes).sum();
    writeln!(
        std::io::stdout(),
        "{}: {} {}, {} files, {bytes} bytes, all as the manifest says",
        path.display(),
        artifact.manifest.kind,
        artifact.short_digest(),
        artifact.manifest.files.len()
    )
    .map_err(Error::internal)
}
