//! `cargo xtask status`: lists the artifacts and the unfinished work of every run.

use super::print;
use crate::runs::{Entry, FolderState, human, list, name};
use crate::workspace::{Workspace, shown};
use attend_program::Result;
use attend_program::table::Align::{Left, Right};
use attend_program::table::Table;
use attend_program::text::escaped;
use std::path::PathBuf;

/// Command line of `cargo xtask status`.
#[derive(clap::Args)]
pub struct Args {
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Prints a line per artifact and staging folder.
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
        let mut table = Table::new([Left, Left, Right, Left]).indented();
        for entry in &entries {
            table.row(row(entry));
        }
        print(table)?;
    }
    Ok(())
}

/// The cells of a line: name, digest, size, and counts or state.
fn row(entry: &Entry) -> [String; 4] {
    let name = name(&entry.path);
    let (name, digest, text) = match &entry.state {
        FolderState::Done(manifest) => {
            let counts = manifest.counts.iter();
            let counts: Vec<String> = counts
                .map(|(what, count)| format!("{what} {count}"))
                .collect();
            let digest = manifest.digest.get(..12).unwrap_or(&manifest.digest);
            let name = match manifest.kind == name {
                true => name,
                false => format!("{name} ({})", manifest.kind),
            };
            (name, digest.to_owned(), counts.join(", "))
        }
        FolderState::Staging { busy: true } => (name, String::new(), "being written".to_owned()),
        FolderState::Staging { busy: false } => {
            let text = "unfinished: its stage will continue it, `clean --staging RUN` deletes it";
            (name, String::new(), text.to_owned())
        }
        FolderState::Damaged(why) => (name, "DAMAGED".to_owned(), format!("manifest.json: {why}")),
    };
    [name, digest, human(entry.bytes), text]
}
