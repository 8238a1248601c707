//! `attend-verify PATH…`: judges artifacts of any program. Reads every file, compares it with
//! the manifest, and checks that the files agree with each other and with other artifacts.

use attend_artifact::Artifact;
use attend_artifact::verify::{Verdict, judge};
use attend_program::{Error, Result, check_interrupt, output, program, text};
use clap::Parser;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Verify artifacts: list everything that is wrong with their manifests and files
#[derive(Parser)]
#[command(name = "attend-verify", version)]
struct Args {
    /// Folders of artifacts
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Refuse artifacts of another kind
    #[arg(long)]
    kind: Option<String>,
    /// Artifacts that they must match, such as the inputs that they were made from
    #[arg(long, value_name = "PATH", num_args = 1..)]
    against: Vec<PathBuf>,
    /// Print a JSON object for each artifact, one on a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program(|| {
        let against = args.against.iter().map(|path| Artifact::open(path));
        let against = against.collect::<Result<Vec<_>>>()?;
        let mut last = None;
        for path in &args.paths {
            check_interrupt()?;
            let verdict = judge(path, args.kind.as_deref(), &against)?;
            if args.json {
                print_json(&verdict)?;
            } else {
                print_text(&verdict)?;
            }
            for finding in &verdict.findings {
                let error = Error::refused(finding.message(path));
                if let Some(before) = last.replace(error)
                    && !args.json
                {
                    tracing::error!("{before}");
                }
            }
        }
        match last {
            None => Ok(()),
            Some(error) if args.json => Err(Error::Reported(error.exit_code())),
            Some(error) => Err(error),
        }
    })
}

fn print_json(verdict: &Verdict) -> Result<bool> {
    let [kind, digest] = verdict.identity();
    output::print_json(json!({
        "path": verdict.path.display().to_string(),
        "kind": kind,
        "digest": digest,
        "whole": verdict.is_whole(),
        "findings": verdict.findings,
    }))
}

/// Prints a line about an artifact if it is whole.
fn print_text(verdict: &Verdict) -> Result<bool> {
    let Some(manifest) = verdict.manifest.as_ref().filter(|_| verdict.is_whole()) else {
        return Ok(true);
    };
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    output::print(format_args!(
        "{}: {} {}, {} files, {bytes} bytes, all as the manifest says",
        text::escaped(&verdict.path.display().to_string()),
        manifest.kind,
        attend_artifact::manifest::short(&manifest.digest),
        manifest.files.len()
    ))
}
