//! The runner: `cargo xtask TASK`. Links neither libtorch nor arrow, so that it
//! is there before they are; the stages are programs that it starts.

mod child;
mod error;
mod setup;
mod tasks;
mod workspace;

use clap::{CommandFactory, Parser, Subcommand};
use error::Result;
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
    /// Say what is found, where, and what is missing
    Doctor,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Some(task) = cli.task else {
        return match Cli::command().print_help() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.message.is_empty() {
                eprintln!("error: {}", error.message);
            }
            ExitCode::from(error.code)
        }
    }
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Setup(args) => tasks::setup::run(&workspace, &args),
        Task::Doctor => tasks::doctor::run(&workspace),
    }
}
