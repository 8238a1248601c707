//! `cargo xtask verify PATH`: checks artifacts, and repairs those of runs.

use crate::child;
use crate::describe::describe;
use crate::pipeline::{Pipeline, Stage};
use crate::programs::Programs;
use crate::run::PIPELINE;
use crate::runs::{FolderState, list};
use crate::workspace::{Workspace, shown};
use attend_program::describe::Parts;
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Folders of artifacts [default: all artifacts of all runs]
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
    let mut paths = args.paths.clone();
    if paths.is_empty() {
        let artifacts = args.artifacts.clone();
        let artifacts = artifacts.unwrap_or_else(|| workspace.artifacts());
        for (_, entries) in list(&artifacts)? {
            let finished = entries
                .iter()
                .filter(|e| !matches!(e.state, FolderState::Staging { .. }));
            paths.extend(finished.map(|entry| entry.path.clone()));
        }
        if paths.is_empty() {
            return super::print(format!("no runs in {}", shown(&artifacts)));
        }
    }
    if args.repair {
        repair(workspace, &paths)?;
    }
    let programs = Programs::prepare(workspace, ["attend-verify"], None)?;
    let mut command = programs.command(&["attend-verify".to_owned()])?;
    command.args(paths);
    command.args(args.kind.iter().flat_map(|kind| ["--kind", kind]));
    for path in &args.against {
        command.arg("--against").arg(path);
    }
    command.args(args.json.then_some("--json"));
    child::run_ok(&mut command)
}

/// Runs each artifact's stage with `--repair`, in the order of the pipeline, so that
/// inputs are repaired before what is made from them.
fn repair(workspace: &Workspace, paths: &[PathBuf]) -> Result<()> {
    let mut stages: Vec<(usize, PathBuf, Stage)> = Vec::new();
    for path in paths {
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let run = path.parent().unwrap_or(Path::new("."));
        let source = run.join(PIPELINE);
        if !source.is_file() {
            return Err(Error::usage(format!(
                "{}: can't be repaired from here: {} does not exist, so its stage is unknown; run that stage with --repair",
                shown(&path),
                shown(&source)
            )));
        }
        let pipeline = Pipeline::load(workspace, &source.to_string_lossy())?;
        let made = |stage: &&Stage| path.file_name().is_some_and(|name| *stage.output == *name);
        if let Some(stage) = pipeline.stages.iter().find(made) {
            let order = pipeline.position(&stage.name)?;
            stages.push((order, run.to_owned(), stage.clone()));
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
