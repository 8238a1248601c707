//! `cargo xtask stats`: the contents of a run's data set, and how much of it the run's
//! vocabulary covers.

use crate::child;
use crate::config::Config;
use crate::programs::Programs;
use crate::runs::find;
use crate::workspace::{Workspace, shown};
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask stats`.
#[derive(clap::Args)]
pub struct Args {
    /// Config file of the run
    #[arg(long, value_name = "FILE", required_unless_present_any = ["folders", "run"])]
    config: Option<PathBuf>,
    /// Name of the run
    #[arg(long, value_name = "RUN", conflicts_with = "config")]
    run: Option<String>,
    /// Name of a run, or folder of a data set and, optionally, of a vocabulary
    #[arg(value_name = "RUN|DIR", num_args = 1..=2, conflicts_with_all = ["config", "run"])]
    folders: Vec<PathBuf>,
    /// Show instead what splits have in common: photographs that are equal or look alike, and
    /// captions that are the same word for word
    #[arg(long)]
    leaks: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Finds the folders and passes them on to `attend-stats`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut folders = args.folders.clone();
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let run = match (&args.config, &args.run) {
        (Some(config), _) => Some((
            artifacts.join(Config::read(config, &[])?.run_name()?),
            format!("--config {}", shown(config)),
        )),
        (_, Some(run)) => Some((find(&artifacts, run)?, format!("--run {run}"))),
        (_, None) if names_run(&artifacts, &folders) => {
            let run = folders.remove(0);
            Some((artifacts.join(&run), format!("--run {}", run.display())))
        }
        _ => None,
    };
    if let Some((run, named)) = run {
        let made = ["dataset", "vocabulary"].map(|kind| run.join(kind));
        folders = made.into_iter().filter(|path| path.is_dir()).collect();
        if !run.join("dataset").is_dir() {
            return Err(Error::usage(format!(
                "{}: has no data set yet; `cargo xtask preprocess {named}` makes it",
                shown(&run)
            )));
        }
    }
    let programs = Programs::prepare(workspace, ["attend-stats"], None)?;
    let mut command = programs.command(&["attend-stats".to_owned()])?;
    command.args(folders);
    let flags = [(args.leaks, "--leaks"), (args.json, "--json")];
    command.args(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
    child::run_ok(&mut command)
}

/// Whether the one thing that is given is no folder here, but the name of a run.
fn names_run(artifacts: &Path, given: &[PathBuf]) -> bool {
    matches!(given, [one] if !one.is_dir() && artifacts.join(one).is_dir())
}
