//! `cargo xtask report RUN`: a page of a run's evaluation.

use crate::child;
use crate::evaluations::Evaluation;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::Result;
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask report`.
#[derive(clap::Args)]
pub struct Args {
    /// Name of a run, or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// Another run to compare with, evaluated on the same images
    #[arg(long, value_name = "RUN")]
    against: Option<String>,
    /// Where to put report.html and its thumbnails [default: RUN/report]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Data set of the evaluation, if it is not in the run
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Number of threads [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Finds the evaluations and passes them on to `attend-report`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let dataset = args.dataset.as_deref();
    let find = |run: &String| Evaluation::find(&artifacts, run, dataset);
    let evaluation = find(&args.run)?;
    let against = args.against.as_ref().map(find).transpose()?;
    let output = (args.output.clone()).unwrap_or_else(|| evaluation.run.join("report"));
    make(workspace, &evaluation, against.as_ref(), &output, args.jobs)
}

/// Makes the report of an evaluation, against another one if there is one.
pub fn make(
    workspace: &Workspace,
    evaluation: &Evaluation,
    against: Option<&Evaluation>,
    output: &Path,
    jobs: Option<usize>,
) -> Result<()> {
    let programs = Programs::prepare(workspace, ["attend-report"], None)?;
    let mut command = programs.command(&["attend-report".to_owned()])?;
    let mut set = |key: &str, value: String| {
        command
            .arg("--set")
            .arg(format!("report.{key}={}", toml::Value::from(value)));
    };
    set("name", evaluation.name.clone());
    if let Some(other) = against {
        set("against", other.folder.display().to_string());
        set("against_name", other.name.clone());
    }
    for (kind, folder) in [
        ("evaluation", &evaluation.folder),
        ("dataset", &evaluation.dataset),
    ] {
        command
            .arg("--input")
            .arg(format!("{kind}={}", folder.display()));
    }
    // A report is made in seconds, whatever it replaces.
    command.arg("--discard").arg("--output").arg(output);
    command.args(
        jobs.iter()
            .flat_map(|n| ["--jobs".to_owned(), n.to_string()]),
    );
    child::run_ok(&mut command)
}
