//! `cargo xtask clean`.

use super::print;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::runs::{Entry, State, entries, human, list, name, size};
use crate::setup::cache::{Cache, remove};
use crate::workspace::{Workspace, shown};
use attend_program::text::escaped;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Its arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Delete all that this config's run has made
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Delete what interrupted stages have left, in all runs
    #[arg(long)]
    staging: bool,
    /// Delete libtorch, tools, METEOR's data and what `bench` has brought from this machine's cache
    #[arg(long)]
    cache: bool,
    /// Do not ask before a trained model is deleted
    #[arg(long)]
    yes: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Deletes what was named.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.config.is_none() && !args.staging && !args.cache {
        return Err(Error::usage(
            "say what to delete: --config FILE (a run), --staging (left-overs) or --cache (libtorch and tools)",
        ));
    }
    let artifacts = args
        .artifacts
        .clone()
        .unwrap_or_else(|| workspace.artifacts());
    if let Some(path) = &args.config {
        let run = artifacts.join(Config::read(path, &[])?.run_name()?);
        let entries = entries(&run)?;
        let busy = |entry: &&Entry| matches!(entry.state, State::Staging { busy: true });
        if let Some(entry) = entries.iter().find(busy) {
            return Err(Error::usage(format!(
                "a stage is writing {}; wait for it or stop it",
                shown(&entry.path)
            )));
        }
        let has_model = entries.iter().any(|entry| entry.is_model());
        if has_model && !args.yes {
            confirm(&format!("{} holds a trained model", shown(&run)))?;
        }
        delete(&run)?;
    }
    if args.staging {
        for entry in list(&artifacts)?
            .into_iter()
            .flat_map(|(_, entries)| entries)
        {
            if matches!(entry.state, State::Staging { busy: false }) {
                delete(&entry.path)?;
            }
        }
    }
    if args.cache {
        clean_cache()?;
    }
    Ok(())
}

fn delete(path: &Path) -> Result<()> {
    if !path.exists() {
        return print(format!("{} is not there", shown(path)));
    }
    let bytes = size(path);
    remove(path)?;
    print(format!("deleted {} ({})", shown(path), human(bytes)))
}

fn confirm(what: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::usage(format!("{what}: give --yes to delete it")));
    }
    let _ = write!(std::io::stderr(), "{}. Delete it? [y/N] ", escaped(what));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim().eq_ignore_ascii_case("y") {
        Ok(())
    } else {
        Err(Error::usage("nothing was deleted"))
    }
}

/// What set-ups and `bench` put into the cache.
const OURS: [&str; 8] = [
    "libtorch-*",
    "cmake-*",
    "nasm-*",
    "cargo-deny-*",
    "bench-*",
    "meteor-*",
    "downloads",
    "apt",
];

/// Only what we have put there: the folder may be the user's own choice.
fn clean_cache() -> Result<()> {
    let cache = Cache::locate()?;
    if !cache.root.exists() {
        return print(format!("{} is not there", cache.root.display()));
    }
    let _lock = cache.lock()?;
    let ours = |name: &str| {
        OURS.iter().any(|ours| match ours.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *ours,
        })
    };
    let found = cache
        .root
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for path in found.filter(|path| ours(&name(path))) {
        delete(&path)?;
    }
    Ok(())
}
