//! `cargo xtask verify PATH`: checks artifacts, and repairs those of runs.

use crate::child;
use crate::describe::describe;
use crate::folders::name;
use crate::pipeline::{Pipeline, Stage};
use crate::programs::Programs;
use crate::run::PIPELINE;
use crate::runs::{FolderState, entries, list};
use crate::workspace::{Workspace, shown};
use attend_program::describe::Parts;
use attend_program::{Error, Result, say};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Artifacts or runs: folders, or names of runs [default: all artifacts of all runs]
    paths: Vec<PathBuf>,
    /// Repair first: make damaged or missing parts again, byte for byte
    #[arg(long)]
    repair: bool,
    /// Refuse artifacts of another kind
    #[arg(long)]
    kind: Option<String>,
    /// Artifacts that they must match, such as the inputs that they were made from
    #[arg(long, value_name = "PATH", num_args = 1..)]
    against: Vec<PathBuf>,
    /// Print a JSON object for each artifact, one on a line
    #[arg(long)]
    json: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Passes the folders on to `attend-verify`; with `--repair`, their stages repair them
/// first.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = args.artifacts.clone();
    let artifacts = artifacts.unwrap_or_else(|| workspace.artifacts());
    let mut paths = Vec::new();
    for path in &args.paths {
        match run_of(&artifacts, path) {
            Some(run) => finished(&run, &mut paths)?,
            None => paths.push(path.clone()),
        }
    }
    if args.paths.is_empty() {
        for (name, _) in list(&artifacts)? {
            finished(&artifacts.join(name), &mut paths)?;
        }
        if paths.is_empty() {
            return super::print(format!("no runs in {}", shown(&artifacts)));
        }
    }
    if args.repair {
        repair(workspace, &artifacts, &paths)?;
    }
    let programs = Programs::prepare(workspace, ["attend-verify"], None)?;
    let mut command = programs.command(&["attend-verify".to_owned()])?;
    command.args(paths);
    command.args(args.kind.iter().flat_map(|kind| ["--kind", kind]));
    for path in &args.against {
        command.arg("--against").arg(path);
    }
    command.args(args.json.then_some("--json"));
    child::run_ok(&mut command).inspect_err(|error| {
        if error.exit_code() == 4 && !args.repair {
            say!("`cargo xtask verify --repair` makes damaged parts of runs again");
        }
    })
}

/// The run that a path names, by its folder or by its name in `artifacts`.
fn run_of(artifacts: &Path, path: &Path) -> Option<PathBuf> {
    let folders = [path.to_owned(), artifacts.join(path)];
    let is_run = |folder: &PathBuf| {
        let is_artifact = folder.join("manifest.json").exists();
        !is_artifact && (entries(folder)).is_ok_and(|entries| !entries.is_empty())
    };
    folders.into_iter().find(is_run)
}

/// Adds the finished artifacts of a run; those that runs share, once.
fn finished(run: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries(run)? {
        let known = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == entry.place);
        if !matches!(entry.state, FolderState::Staging { .. }) && !paths.iter().any(known) {
            paths.push(entry.path);
        }
    }
    Ok(())
}

/// The run's folder and the name in it of the artifact at `path`, which may be in the store.
fn place_in_run(artifacts: &Path, path: &Path) -> Result<Option<(PathBuf, String)>> {
    let run = path.parent().unwrap_or(Path::new("."));
    if run.join(PIPELINE).is_file() {
        return Ok(Some((run.to_owned(), name(path))));
    }
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for (run, found) in list(artifacts)? {
        let entry = found.into_iter().find(|entry| entry.place == real);
        let run = artifacts.join(run);
        if let Some(entry) = entry.filter(|_| run.join(PIPELINE).is_file()) {
            return Ok(Some((run, name(&entry.path))));
        }
    }
    Ok(None)
}

/// Runs each artifact's stage with `--repair`, in the order of the pipeline, so that
/// inputs are repaired before what is made from them.
fn repair(workspace: &Workspace, artifacts: &Path, paths: &[PathBuf]) -> Result<()> {
    let mut stages: Vec<(usize, PathBuf, Stage)> = Vec::new();
    for path in paths {
        let Some((run, output)) = place_in_run(artifacts, path)? else {
            return Err(Error::usage(format!(
                "{}: can't be repaired from here: no run in {} has it, so its stage is unknown; run that stage with --repair",
                shown(path),
                shown(artifacts)
            )));
        };
        let pipeline = Pipeline::load(workspace, &run.join(PIPELINE).to_string_lossy())?;
        if let Some(stage) = pipeline.stages.iter().find(|stage| stage.output == output) {
            let order = pipeline.position(&stage.name)?;
            stages.push((order, run, stage.clone()));
        }
    }
    stages.sort_by_key(|(order, ..)| *order);
    let names = stages
        .iter()
        .filter_map(|(.., stage)| stage.command.first());
    let programs = Programs::prepare(workspace, names.map(String::as_str), None)?;
    for (_, run, stage) in &stages {
        let parts = describe(programs.command(&stage.command)?)?.parts;
        if parts == Parts::None {
            continue;
        }
        let mut command = programs.command(&stage.command)?;
        command
            .arg("--repair")
            .arg("--config")
            .arg(run.join(format!("config/{}.toml", stage.name)))
            .arg("--output")
            .arg(run.join(&stage.output));
        for (kind, folder) in &stage.inputs {
            let input = format!("{kind}={}", run.join(folder).display());
            command.arg("--input").arg(input);
        }
        child::run_ok(&mut command)?;
    }
    Ok(())
}
