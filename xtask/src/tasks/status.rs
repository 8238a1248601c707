//! `cargo xtask status`: what every run has made.

use super::print;
use crate::error::Result;
use crate::runs::{Entry, State, human, list, name};
use crate::workspace::{Workspace, shown};
use attend_program::text::escaped;
use std::path::PathBuf;

/// Its arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Prints a line per artifact.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = args
        .artifacts
        .clone()
        .unwrap_or_else(|| workspace.artifacts());
    let runs = list(&artifacts)?;
    if runs.is_empty() {
        return print(format!("no runs in {}", shown(&artifacts)));
    }
    for (run, entries) in runs {
        print(format!(
            "{}  ({})",
            escaped(&run),
            human(entries.iter().map(|entry| entry.bytes).sum())
        ))?;
        for entry in &entries {
            print(line(entry))?;
        }
    }
    Ok(())
}

fn line(entry: &Entry) -> String {
    let name = escaped(&name(&entry.path)).into_owned();
    let size = human(entry.bytes);
    match &entry.state {
        State::Done(manifest) => {
            let counts: Vec<String> = manifest
                .counts
                .iter()
                .map(|(what, count)| format!("{what} {count}"))
                .collect();
            let digest = manifest.digest.get(..12).unwrap_or(&manifest.digest);
            let kind = if manifest.kind == name {
                String::new()
            } else {
                format!(" ({})", manifest.kind)
            };
            format!(
                "  {:<16}{digest:<14}{size:>10}  {}",
                name + &kind,
                counts.join(", ")
            )
        }
        State::Staging { busy: true } => format!("  {name:<30}{size:>10}  being written"),
        State::Staging { busy: false } => format!(
            "  {name:<30}{size:>10}  unfinished: its stage goes on from it, `clean --staging RUN` deletes it"
        ),
        State::Damaged(why) => format!(
            "  {name:<16}{:<14}{size:>10}  manifest.json: {why}",
            "DAMAGED"
        ),
    }
}
