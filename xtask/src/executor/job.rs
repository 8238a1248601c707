//! A job: a stage of a run, the jobs that it waits for, and what it needs.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[stage.resources]` of a pipeline file: what a stage asks of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Processor cores, which are the stage's threads; 0: as the cluster has it.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpus: u32,
    /// Memory, such as `16G`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub memory: String,
    /// Longest time, as Slurm takes it: `2:00:00`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// Graphics processors.
    #[serde(skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// How many jobs share the shards of the output; 0 and 1: one makes all.
    #[serde(skip_serializing_if = "is_zero")]
    pub tasks: u32,
    /// Partition of a Slurm cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub partition: String,
    /// Further options of `sbatch`, such as `--account=vision`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A stage that runs as a job.
#[derive(Clone, Debug)]
pub struct Job {
    /// The stage's name.
    pub stage: String,
    /// The stages whose jobs must have succeeded.
    pub after: Vec<String>,
    /// What it needs; more than one task only if the stage can share its shards.
    pub resources: Resources,
    /// Further arguments of its `run --only STAGE`.
    pub arguments: Vec<String>,
}

impl Job {
    /// Whether several tasks make the shards, and a last job the artifact.
    pub fn is_shared(&self) -> bool {
        self.resources.tasks > 1
    }
}

/// The jobs of a run, each after those that it waits for.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// Name of the run.
    pub run: String,
    /// The folder of the runs.
    pub artifacts: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// The folder of the stages' programs, if it is known.
    pub programs: Option<PathBuf>,
    /// The checkout.
    pub workspace: PathBuf,
    /// The working directory, to which paths of the config may be relative.
    pub here: PathBuf,
    /// The jobs.
    pub jobs: Vec<Job>,
}

impl Jobs {
    /// The environment that a job needs, besides the one that the user has.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let programs = self.programs.iter();
        let programs = programs.map(|path| ("ATTEND_BIN_DIR", path.display().to_string()));
        let workspace = ("ATTEND_WORKSPACE", self.workspace.display().to_string());
        // An evaluation says which of METEOR's data it was made with.
        let meteor = std::env::var("ATTEND_METEOR").ok();
        let meteor = meteor.map(|folder| ("ATTEND_METEOR", folder));
        [workspace]
            .into_iter()
            .chain(programs)
            .chain(meteor)
            .collect()
    }

    /// The words of a job's command.
    pub fn command(&self, job: &Job, more: &[&str]) -> Vec<String> {
        let artifacts = self.artifacts.display().to_string();
        let program = self.program.display().to_string();
        let words = [
            &program,
            "run",
            "--run",
            &self.run,
            "--artifacts",
            &artifacts,
        ];
        let words = words.into_iter().chain(["--only", &job.stage]);
        let own = job.arguments.iter().map(String::as_str);
        let cpus = job.resources.cpus.to_string();
        let has_jobs = job.arguments.iter().any(|word| word == "--jobs");
        let jobs = ["--jobs", &cpus];
        let jobs = jobs
            .into_iter()
            .filter(|_| job.resources.cpus > 0 && !has_jobs);
        let words = words.chain(own).chain(jobs).chain(more.iter().copied());
        words.map(str::to_owned).collect()
    }
}

/// A word as a shell reads it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A command line as a shell reads it.
pub fn line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}
