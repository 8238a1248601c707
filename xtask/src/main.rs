//! The runner: `cargo xtask TASK`. It links neither libtorch nor arrow, so that it
//! can be built before they are installed; it starts the stages as programs.

#![deny(clippy::print_stderr)]

mod child;
mod config;
mod describe;
mod meanings;
mod parameters;
mod pipeline;
mod programs;
mod runs;
mod setup;
mod tasks;
mod workspace;

use attend_program::{Result, end};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

/// Show, attend and tell: from photographs and captions to a captioner.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Install what a build needs: libtorch, CMake, nasm (tasks that build do it themselves)
    Setup(tasks::setup::Args),
    /// Draw scenes, train a small captioner on them, and show its captions and attention
    Demo(tasks::demo::Args),
    /// Turn photographs and captions into a data set, a vocabulary and features
    Preprocess(tasks::run::Options),
    /// Preprocess, then train a model
    Train(tasks::run::Options),
    /// Preprocess and train, then caption the evaluated split and score the captions
    Evaluate(tasks::run::Options),
    /// Run a pipeline
    Run {
        /// Name of a file in pipelines/, without .toml, or a path that ends in .toml
        pipeline: String,
        #[command(flatten)]
        options: tasks::run::Options,
    },
    /// Describe photographs with a trained captioner
    Caption(tasks::caption::Args),
    /// List all runs: artifacts, sizes and unfinished work
    Status(tasks::status::Args),
    /// Show what is in a run's data set: counts, sizes, lengths, coverage
    Stats(tasks::stats::Args),
    /// Show runs side by side: the parameters that differ, and the scores
    Compare(tasks::compare::Args),
    /// Check artifacts: files, digests and types; --repair makes damaged parts again
    Verify(tasks::verify::Args),
    /// Delete a run, unfinished work or the cache
    Clean(tasks::clean::Args),
    /// Benchmark against PyTorch, Pillow and OpenCV, and against the machine's limits
    Bench(tasks::bench::Args),
    /// Check format, lints, dependencies and documentation, and run all tests
    Test(tasks::test::Args),
    /// Write docs/parameters.md: every key of every config, with its meaning
    Parameters(tasks::parameters::Args),
    /// Report what is installed, where, and what is missing
    Doctor,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    end::with(
        || {
            let Some(task) = cli.task else {
                // An error means that the reader is gone, as in `cargo xtask | head`.
                let _ = Cli::command().print_help();
                return Ok(());
            };
            run(task)
        },
        "",
    )
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Setup(args) => tasks::setup::run(&workspace, &args),
        Task::Demo(args) => tasks::demo::run(&workspace, args),
        Task::Preprocess(options) => {
            tasks::run::run(&workspace, None, &["vocabulary", "features"], &options)
        }
        Task::Train(options) => tasks::run::run(&workspace, None, &["model"], &options),
        Task::Evaluate(options) => tasks::run::run(&workspace, None, &["evaluation"], &options),
        Task::Run { pipeline, options } => {
            tasks::run::run(&workspace, Some(&pipeline), &[], &options)
        }
        Task::Caption(args) => tasks::caption::run(&workspace, args),
        Task::Status(args) => tasks::status::run(&workspace, &args),
        Task::Stats(args) => tasks::stats::run(&workspace, &args),
        Task::Compare(args) => tasks::compare::run(&workspace, &args),
        Task::Verify(args) => tasks::verify::run(&workspace, &args),
        Task::Clean(args) => tasks::clean::run(&workspace, &args),
        Task::Bench(args) => tasks::bench::run(&workspace, &args),
        Task::Test(args) => tasks::test::run(&workspace, &args),
        Task::Parameters(args) => tasks::parameters::run(&workspace, &args),
        Task::Doctor => tasks::doctor::run(&workspace),
    }
}
