//! Runs the stages of a pipeline elsewhere than here. Each becomes a job, whose command is
//! `run --only STAGE` of this program: keys, inputs and places are found where it runs.
//!
//! - `job`: a job, and its command lines.
//! - `plan`: the jobs of the stages that are to be made.
//! - `emit`: scripts for people who run them themselves.
//! - `slurm`: submits jobs to Slurm, and watches them.

mod emit;
mod job;
mod plan;
pub mod slurm;

pub use emit::{Target, emit};
pub use job::Resources;
pub use plan::{ended, jobs};

/// What runs the stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Executor {
    /// This machine
    #[default]
    Local,
    /// A Slurm cluster: submits jobs, and watches them
    Slurm,
}
