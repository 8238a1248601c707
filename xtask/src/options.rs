//! The command line of the tasks that run stages.

use crate::config::Choice;
use crate::executor::{Executor, Target};
use crate::workspace::Workspace;
use std::path::PathBuf;

/// Command line of the tasks that run stages.
#[derive(Default, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub choice: Choice,
    /// Override a parameter of the config
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// First stage to run; the outputs of the earlier ones must exist
    #[arg(long, value_name = "STAGE")]
    pub from: Option<String>,
    /// Last stage to run
    #[arg(long, value_name = "STAGE", alias = "until")]
    pub to: Option<String>,
    /// Run this stage alone; its inputs must exist
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["from", "to"])]
    pub only: Option<String>,
    /// Make the outputs of these stages, or of all, again even if they are up to date
    #[arg(long, value_name = "STAGES", num_args = 0..=1, value_delimiter = ',', default_missing_value = "")]
    pub force: Option<Vec<String>>,
    /// Only say which stages would run, and why
    #[arg(long)]
    pub dry_run: bool,
    /// If a stage fails, go on with those that don't need its output
    #[arg(long)]
    pub keep_going: bool,
    /// Refuse to end with other artifacts than those that `cargo xtask lock` has pinned
    #[arg(long, conflicts_with_all = ["force", "discard"])]
    pub locked: bool,
    /// Delete output made with other parameters or inputs even if it took more than a minute
    /// to make
    #[arg(long, conflicts_with = "shards")]
    pub discard: bool,
    /// Make these shards of the data set and the features again, byte for byte
    #[arg(long, value_name = "NAMES", conflicts_with = "force")]
    pub shards: Option<String>,
    /// With --only: make every Nth shard, from the Ith, as one of N tasks
    #[arg(long, value_name = "I/N", requires = "only", conflicts_with_all = ["force", "shards"])]
    pub task: Option<String>,
    /// With --only: combine the shards of all tasks into the artifact
    #[arg(long, requires = "only", conflicts_with_all = ["force", "shards", "task"])]
    pub finalize: bool,
    /// Where to make the run's folder [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Number of threads of each stage [default: all cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// How many stages that don't wait for each other may run at the same time
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub at_once: usize,
    /// What runs the stages: local, this machine, or slurm, a Slurm cluster
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "NAME",
        hide_possible_values = true
    )]
    pub executor: Executor,
    /// Only write scripts that run the stages: for slurm, kubernetes or make
    #[arg(long, value_enum, value_name = "FOR", hide_possible_values = true, conflicts_with_all = ["executor", "dry_run"])]
    pub emit: Option<Target>,
    /// Cargo profile to build the stages with [default: ATTEND_PROFILE, else release]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

impl Options {
    /// Where the runs are.
    pub fn artifacts(&self, workspace: &Workspace) -> PathBuf {
        let given = self.artifacts.clone();
        given.unwrap_or_else(|| workspace.artifacts())
    }

    /// Whether the artifact of a stage is to be made even if it is up to date.
    pub fn forces(&self, stage: &str) -> bool {
        let stages = self.force.as_ref();
        stages.is_some_and(|stages| stages.iter().any(|name| name.is_empty() || name == stage))
    }
}
