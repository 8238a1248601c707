//! The runner: `cargo xtask TASK`. It links neither libtorch nor arrow, so that it
//! can be built before they are installed; it starts the stages as programs.

#![deny(clippy::print_stderr)]

mod child;
mod config;
mod conform;
mod describe;
mod evaluations;
mod executor;
mod folders;
mod help;
mod meanings;
mod metrics;
mod options;
mod parameters;
mod pipeline;
mod plan;
mod preflight;
mod prepared;
mod programs;
mod run;
mod runs;
mod schedule;
mod setup;
mod stamp;
mod store;
mod sweep;
mod tasks;
mod time;
mod words;
mod workspace;

use attend_program::{Error, Result, end};
use clap::{FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
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
    /// Install what a build needs; tasks that build do so themselves
    Setup(tasks::setup::Args),
    /// Draw scenes, train a small captioner, show what it looks at
    Demo(tasks::demo::Args),
    /// Look at a data set, say what it is, and write a config for it
    Init(tasks::init::Args),
    /// Download data sets and weights that others publish
    Fetch(tasks::fetch::Args),
    /// Make a run's data set, vocabulary and features
    Preprocess(options::Options),
    /// Preprocess, then train a model
    Train(options::Options),
    /// Preprocess and train, then caption a split and score the captions
    Evaluate(options::Options),
    /// Run a pipeline
    Run {
        /// Name of a file in pipelines/, without .toml, or a path that ends in .toml
        /// [default: the config's run.pipeline]
        pipeline: Option<String>,
        #[command(flatten)]
        options: options::Options,
    },
    /// Run a pipeline with many values of some parameters, and show a table
    Sweep(tasks::sweep::Args),
    /// Describe photographs with a trained captioner
    Caption(tasks::caption::Args),
    /// Describe photographs over HTTP with a trained captioner, and on a page
    Serve(tasks::serve::Args),
    /// Show the state of every stage of every run, and why it would run again
    Status(tasks::status::Args),
    /// Show what is in a run's data set: counts, lengths, coverage
    Stats(tasks::stats::Args),
    /// Make a page of a run's evaluation: scores, words, every caption
    Report(tasks::report::Args),
    /// Show a run's worst captions, with those of people
    Worst(tasks::worst::Args),
    /// Show runs side by side: parameters that differ, and scores
    Compare(tasks::compare::Args),
    /// Show which artifacts of two runs differ, and why
    Diff(tasks::diff::Args),
    /// Judge artifacts of any program; --repair mends damage
    Verify(tasks::verify::Args),
    /// Write the manifest for a program that only wrote the files
    Seal(tasks::seal::Args),
    /// Show the stages of a pipeline, and what they read and make
    Graph(tasks::graph::Args),
    /// Pin a finished run to its artifacts, for `run --locked`
    Lock(tasks::lock::Args),
    /// Delete artifacts that no run needs
    Gc(tasks::gc::Args),
    /// Delete a run, unfinished work or the cache
    Clean(tasks::clean::Args),
    /// Benchmark against PyTorch, Pillow, OpenCV and the machine
    Bench(tasks::bench::Args),
    /// Check format, lints, licences and documentation; run all tests
    Test(tasks::test::Args),
    /// Pack programs and libraries for machines without a checkout
    Dist(tasks::dist::Args),
    /// Build the Python package of the scores, and test it
    Wheel(tasks::wheel::Args),
    /// Put a stage of your own through what ours promise
    Conform(tasks::conform::Args),
    /// Print a script that completes command lines in bash, zsh or fish
    Completions(tasks::completions::Args),
    /// The words that may stand at the cursor
    #[command(hide = true)]
    Complete(tasks::completions::Words),
    /// Write docs/parameters.md: every key of every config
    Parameters(tasks::parameters::Args),
    /// Report what is installed, where, and what is missing
    Doctor,
    /// A program by its name, such as attend-score, with its arguments
    #[command(external_subcommand)]
    Program(Vec<OsString>),
}

fn main() -> ExitCode {
    let matches = help::command::<Cli>().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    end::with(
        || {
            let Some(task) = cli.task else {
                // An error means that the reader is gone, as in `cargo xtask | head`.
                let _ = help::command::<Cli>().print_help();
                return Ok(());
            };
            let name = matches.subcommand_name().unwrap_or_default();
            run(name, task)
        },
        "",
    )
}

fn run(name: &str, task: Task) -> Result<()> {
    let workspace = Workspace::locate()?;
    if help::OF_CHECKOUT.contains(&name) && !workspace.is_checkout() {
        let why = format!("{name} works in a checkout of attend, not in an archive of it");
        return Err(Error::usage(why));
    }
    match task {
        Task::Setup(args) => tasks::setup::run(&workspace, &args),
        Task::Demo(args) => tasks::demo::run(&workspace, args),
        Task::Init(args) => tasks::init::run(&workspace, args),
        Task::Fetch(args) => tasks::fetch::run(&workspace, args),
        Task::Preprocess(options) => {
            tasks::run::run(&workspace, None, &["vocabulary", "features"], &options)
        }
        Task::Train(options) => tasks::run::run(&workspace, None, &["model"], &options),
        Task::Evaluate(options) => tasks::run::run(&workspace, None, &["evaluation"], &options),
        Task::Run { pipeline, options } => {
            tasks::run::run(&workspace, pipeline.as_deref(), &[], &options)
        }
        Task::Sweep(args) => tasks::sweep::run(&workspace, &args),
        Task::Caption(args) => tasks::caption::run(&workspace, args),
        Task::Serve(args) => tasks::serve::run(&workspace, args),
        Task::Status(args) => tasks::status::run(&workspace, &args),
        Task::Stats(args) => tasks::stats::run(&workspace, &args),
        Task::Report(args) => tasks::report::run(&workspace, &args),
        Task::Worst(args) => tasks::worst::run(&workspace, &args),
        Task::Compare(args) => tasks::compare::run(&workspace, &args),
        Task::Verify(args) => tasks::verify::run(&workspace, &args),
        Task::Seal(args) => tasks::seal::run(&workspace, &args),
        Task::Diff(args) => tasks::diff::run(&workspace, &args),
        Task::Graph(args) => tasks::graph::run(&workspace, &args),
        Task::Lock(args) => tasks::lock::run(&workspace, &args),
        Task::Gc(args) => tasks::gc::run(&workspace, &args),
        Task::Clean(args) => tasks::clean::run(&workspace, &args),
        Task::Bench(args) => tasks::bench::run(&workspace, &args),
        Task::Test(args) => tasks::test::run(&workspace, &args),
        Task::Dist(args) => tasks::dist::run(&workspace, &args),
        Task::Wheel(args) => tasks::wheel::run(&workspace, &args),
        Task::Conform(args) => tasks::conform::run(&workspace, &args),
        Task::Completions(args) => tasks::completions::script(&args),
        Task::Complete(args) => {
            tasks::completions::words(&workspace, help::command::<Cli>(), &args)
        }
        Task::Parameters(args) => tasks::parameters::run(&workspace, &args),
        Task::Doctor => tasks::doctor::run(&workspace),
        Task::Program(words) => {
            let command = help::command::<Cli>();
            let tasks = command
                .get_subcommands()
                .map(|task| task.get_name().to_owned());
            tasks::program::run(&workspace, &words, &tasks.collect::<Vec<_>>())
        }
    }
}
