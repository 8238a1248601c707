//! `cargo xtask clean`: deletes runs, unfinished work and the cache.

use super::{confirm, print};
use crate::config::Config;
use crate::folders::{lock, name, size};
use crate::run::LOCK;
use crate::runs::{Entry, FolderState, entries, find, list};
use crate::setup::cache::{Cache, remove};
use crate::store::{Store, needed, unneeded};
use crate::workspace::{Workspace, shown};
use attend_program::text::human;
use attend_program::{At, Error, Result};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask clean`.
#[derive(clap::Args)]
pub struct Args {
    /// Delete these runs, and the artifacts that no other run needs
    #[arg(value_name = "RUN", conflicts_with = "staging")]
    runs: Vec<String>,
    /// Delete the run of this config
    #[arg(long, value_name = "FILE", conflicts_with = "staging")]
    config: Option<PathBuf>,
    /// Override a parameter of the config: `run.name` names another run
    #[arg(long, value_name = "SECTION.KEY=VALUE", requires = "config")]
    set: Vec<String>,
    /// Delete the unfinished work of interrupted stages, in all runs or in this one
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    staging: Option<Option<String>>,
    /// Delete libtorch, tools, METEOR's data and the packages of `bench` from this machine's cache
    #[arg(long)]
    cache: bool,
    /// Only list what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before a trained model or unfinished work is deleted
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Deletes what the arguments name, after asking if it took work to make.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.runs.is_empty() && args.config.is_none() && args.staging.is_none() && !args.cache {
        return Err(Error::usage(
            "name what to delete: a run (by name or --config FILE), --staging (unfinished work) or --cache (libtorch and tools)",
        ));
    }
    let artifacts = args
        .artifacts
        .clone()
        .unwrap_or_else(|| workspace.artifacts());
    let mut runs = Vec::new();
    for run in &args.runs {
        runs.push(find(&artifacts, run)?);
    }
    if let Some(path) = &args.config {
        runs.push(artifacts.join(Config::read(path, &args.set)?.run_name()?));
    }
    for run in runs {
        clean_run(&artifacts, &run, args)?;
    }
    if let Some(run) = &args.staging {
        clean_staging(&artifacts, run.as_deref(), args)?;
    }
    if args.cache {
        clean_cache(args.dry_run)?;
    }
    Ok(())
}

/// Deletes what the runner and its stages put into the folder of a run, and the artifacts
/// that no other run needs; keeps everything else.
fn clean_run(artifacts: &Path, run: &Path, args: &Args) -> Result<()> {
    if !run.exists() {
        return print(format!("{} does not exist", shown(run)));
    }
    let entries = entries(run)?;
    let busy = |entry: &&Entry| matches!(entry.state, FolderState::Staging { busy: true });
    if let Some(entry) = entries.iter().find(busy) {
        return Err(Error::usage(format!(
            "a stage is writing {}; wait for it or stop it",
            shown(&entry.path)
        )));
    }
    let needed = needed(artifacts)?;
    let shared = |place: &Path| needed.get(place).is_some_and(|runs| runs.len() > 1);
    let store = Store::of(artifacts);
    // The places, under the store's own name: `Entry::place` has links resolved.
    let place = |entry: &Entry| store.root.join(place_name(&entry.place));
    let own: Vec<&Entry> = entries
        .iter()
        .filter(|entry| !shared(&place(entry)))
        .collect();
    if args.dry_run {
        for entry in &entries {
            let (path, bytes) = (shown(&entry.path), human(entry.bytes));
            print(match shared(&place(entry)) {
                true => format!("would keep {path} ({bytes}): another run needs it"),
                false => format!("would delete {path} ({bytes})"),
            })?;
        }
        return Ok(());
    }
    let held = match (
        own.iter().any(|entry| entry.is_model()),
        own.iter().any(|entry| entry.is_work()),
    ) {
        (true, true) => Some("a trained model and unfinished work"),
        (true, false) => Some("a trained model"),
        (false, true) => Some("unfinished work"),
        (false, false) => None,
    };
    if let Some(held) = held
        && !args.yes
    {
        confirm(&format!("{} holds {held}", shown(run)))?;
    }
    let places: Vec<PathBuf> = entries.iter().map(place).collect();
    remove_run(run, &entries)?;
    let unneeded = unneeded(&store, artifacts)?;
    super::gc::delete(unneeded.iter().filter(|one| places.contains(&one.place)))
}

/// The name of an artifact's place, given that of its staging folder or its own.
fn place_name(path: &Path) -> String {
    let name = name(path);
    name.strip_suffix(".staging")
        .map_or(name.clone(), str::to_owned)
}

fn remove_run(run: &Path, entries: &[Entry]) -> Result<()> {
    let bytes = size(run);
    for entry in entries {
        remove(&entry.path)?;
    }
    let mut left = Vec::new();
    for entry in run.read_dir().at(run)?.flatten() {
        let path = entry.path();
        // Links to begun artifacts, a stage's lock, the stages' configs and logs, the
        // demo's pictures.
        let ours = is_lock(&path)
            || path.is_symlink()
            || name(&path) == LOCK
            || [
                ("config", &["toml", "json", "lock"][..]),
                ("logs", &["log"]),
                ("attention", &["png"]),
            ]
            .iter()
            .any(|(folder, ends)| name(&path) == *folder && holds_only(&path, ends));
        match ours {
            true => remove(&path)?,
            false => left.push(path),
        }
    }
    if left.is_empty() {
        let removed = std::fs::remove_dir(run).or_else(|_| std::fs::remove_file(run)); // a link
        removed.at(run)?;
        return print(format!("deleted {} ({})", shown(run), human(bytes)));
    }
    print(format!("deleted what the stages made in {}", shown(run)))?;
    for path in left {
        print(format!("kept {}: no stage made it", shown(&path)))?;
    }
    Ok(())
}

fn is_lock(path: &Path) -> bool {
    let text = || std::fs::read_to_string(path);
    name(path).ends_with(".lock")
        && text().is_ok_and(|text| text.is_empty() || text.starts_with("process "))
}

fn holds_only(folder: &Path, ends: &[&str]) -> bool {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    folder.is_dir()
        && (entries.map(|entry| entry.path()))
            .all(|path| (path.extension()).is_some_and(|e| ends.iter().any(|end| e == *end)))
}

fn clean_staging(artifacts: &Path, run: Option<&str>, args: &Args) -> Result<()> {
    let runs = list(artifacts)?;
    if let Some(run) = run
        && !runs.iter().any(|(name, _)| name == run)
    {
        return Err(Error::usage(format!(
            "--staging {run}: {} has no such run",
            shown(artifacts)
        )));
    }
    let of_run = |(name, _): &(String, Vec<Entry>)| run.is_none_or(|run| run == name);
    let all = runs.into_iter().filter(of_run);
    let (mut idle, mut work) = (Vec::new(), false);
    for entry in all.flat_map(|(_, entries)| entries) {
        match entry.state {
            FolderState::Staging { busy: true } => {
                print(format!("{} is being written: kept", shown(&entry.path)))?;
            }
            FolderState::Staging { busy: false } => {
                work |= entry.is_work();
                idle.push(entry);
            }
            _ => {}
        }
    }
    if args.dry_run || work && !args.yes {
        for entry in &idle {
            print(format!("{} ({})", shown(&entry.place), human(entry.bytes)))?;
        }
    }
    if args.dry_run {
        return Ok(());
    }
    if work && !args.yes {
        confirm("this is unfinished work, which its stages would continue")?;
    }
    for entry in idle {
        match lock(&entry.place) {
            Some(_lock) => delete(&entry.place)?,
            None => print(format!("{} is being written: kept", shown(&entry.path)))?,
        }
    }
    Ok(())
}

fn delete(path: &Path) -> Result<()> {
    if !path.exists() {
        return print(format!("{} does not exist", shown(path)));
    }
    let bytes = size(path);
    remove(path)?;
    print(format!("deleted {} ({})", shown(path), human(bytes)))
}

/// Names that `setup` and `bench` use in the cache.
const OURS: [&str; 10] = [
    "libtorch-*",
    "cmake-*",
    "nasm-*",
    "cargo-deny-*",
    "bench-*",
    "meteor-*",
    "python-package",
    "python-scores",
    "downloads",
    "apt",
];

/// Deletes only what we put there: the user may have chosen a folder with other files.
fn clean_cache(dry_run: bool) -> Result<()> {
    let cache = Cache::locate()?;
    if !cache.root.exists() {
        return print(format!("{} does not exist", cache.root.display()));
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
        match dry_run {
            true => print(format!(
                "would delete {} ({})",
                shown(&path),
                human(size(&path))
            ))?,
            false => delete(&path)?,
        }
    }
    Ok(())
}
