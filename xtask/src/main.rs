//! The runner: `cargo xtask TASK`. Links neither libtorch nor arrow, so that it
//! is there before they are; the stages are programs that it starts.

#![deny(clippy::print_stderr)]

mod child;
mod config;
mod describe;
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
    /// Bring what a build needs: libtorch, CMake, nasm (each task does it by itself)
    Setup(tasks::setup::Args),
    /// Draw scenes, train a small captioner on them, and show what it says and sees
    Demo(tasks::demo::Args),
    /// Photographs and captions to data set, vocabulary and features
    Preprocess(tasks::run::Options),
    /// The same, and on to a trained model
    Train(tasks::run::Options),
    /// The same, and on to captions of the evaluated split and their scores
    Evaluate(tasks::run::Options),
    /// Run a pipeline: one of pipelines/, by its name
    Run {
        /// Name of a file in pipelines/, or the path of one
        pipeline: String,
        #[command(flatten)]
        options: tasks::run::Options,
    },
    /// Describe photographs with a trained captioner
    Caption(tasks::caption::Args),
    /// Show every run: what is done, how large it is, what was left half-done
    Status(tasks::status::Args),
    /// Show what is in a run's data set: counts, sizes, lengths, coverage
    Stats(tasks::stats::Args),
    /// Show runs side by side: parameters that differ, and scores
    Compare(tasks::compare::Args),
    /// Check artifacts: files, digests, types; and make again what is damaged
    Verify(tasks::verify::Args),
    /// Delete a run, left-overs or the cache
    Clean(tasks::clean::Args),
    /// Measure: ours beside what people use today, and beside the floor
    Bench(tasks::bench::Args),
    /// Check format, lints, dependencies and documentation, and run all tests
    Test(tasks::test::Args),
    /// Say what is found, where, and what is missing
    Doctor,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    end::with(
        || {
            let Some(task) = cli.task else {
                // `cargo xtask | head` has seen enough.
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
        Task::Doctor => tasks::doctor::run(&workspace),
    }
}
