//! `cargo xtask worst RUN`: the captions of a run's evaluation that score worst.

use crate::child;
use crate::evaluations::Evaluation;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::Result;
use std::path::PathBuf;

/// Command line of `cargo xtask worst`.
#[derive(clap::Args)]
pub struct Args {
    /// Name of a run, or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// Score to sort by
    #[arg(long, default_value = "cider", value_parser = ["cider", "meteor", "bleu4", "rouge_l", "log_prob"])]
    by: String,
    /// Number of captions
    #[arg(short, long, default_value_t = 10)]
    number: usize,
    /// Show the best instead
    #[arg(long)]
    best: bool,
    /// Beam size [default: that of results.json]
    #[arg(long, value_name = "SIZE")]
    beam: Option<u32>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
    /// Data set of the evaluation, if it is not in the run
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Finds the evaluation and passes it on to `attend-report worst`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let evaluation = Evaluation::find(&artifacts, &args.run, args.dataset.as_deref())?;
    let programs = Programs::prepare(workspace, ["attend-report"], None)?;
    let mut command = programs.command(&["attend-report".to_owned(), "worst".to_owned()])?;
    command.args([&evaluation.folder, &evaluation.dataset]);
    command.args(["--by", &args.by, "--number", &args.number.to_string()]);
    let beam = args
        .beam
        .map(|size| ["--beam".to_owned(), size.to_string()]);
    command.args(beam.into_iter().flatten());
    let flags = [(args.best, "--best"), (args.json, "--json")];
    command.args(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
    child::run_ok(&mut command)
}
