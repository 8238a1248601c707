//! `cargo xtask run`, and the tasks that run part of a pipeline.

use crate::config::Config;
use crate::executor::{self, Executor};
use crate::options::Options;
use crate::pipeline::{Pipeline, Stage};
use crate::prepared::{Prepared, prepare};
use crate::run::PIPELINE;
use crate::store::State;
use crate::time::spent;
use crate::workspace::{Workspace, shown};
use attend_program::{Error, Result};
use std::path::Path;

/// Runs the stages that `options` select. `pipeline` overrides the config's pipeline.
/// Without `--to`, the last stage is the last one that makes one of `goal`, if given.
pub fn run(
    workspace: &Workspace,
    pipeline: Option<&str>,
    goal: &[&str],
    options: &Options,
) -> Result<()> {
    let artifacts = options.artifacts(workspace);
    let config = Config::read(&options.choice.path(&artifacts)?, &options.set)?;
    let pipeline = load(workspace, pipeline, &config, &artifacts, options)?;
    let last = match (&options.to, goal) {
        (Some(name), _) => pipeline.position(name)?,
        (None, []) => pipeline.stages.len() - 1,
        (None, goal) => pipeline.position(pipeline.last_that_makes(goal)?)?,
    };
    let position = |name: &String| pipeline.position(name);
    let first = options.from.as_ref().map_or(Ok(0), position)?;
    if first > last {
        return Err(Error::usage("--from comes after --to"));
    }
    let wanted: Vec<usize> = match &options.only {
        Some(name) => vec![pipeline.position(name)?],
        None => (first..=last).collect(),
    };
    for name in options
        .force
        .iter()
        .flatten()
        .filter(|name| !name.is_empty())
    {
        pipeline.position(name)?;
    }
    let prepared = prepare(workspace, pipeline, &config, &[], options)?;
    match (options.dry_run, options.emit, options.executor) {
        (true, ..) => prepared.tell(&wanted, options),
        (_, None, Executor::Local) => prepared.run(&wanted, options, false),
        _ => prepared.run_elsewhere(workspace, &wanted, options),
    }
}

/// The pipeline of this name, else the config's, else that of the run.
pub fn load(
    workspace: &Workspace,
    name: Option<&str>,
    config: &Config,
    artifacts: &Path,
    options: &Options,
) -> Result<Pipeline> {
    if let (None, Some(run)) = (name, &options.choice.run) {
        let path = artifacts.join(run).join(PIPELINE);
        return Pipeline::load(workspace, &path.to_string_lossy());
    }
    let name = name.map_or_else(|| config.pipeline(), |name| Ok(name.to_owned()))?;
    Pipeline::load(workspace, &name)
}

impl Prepared {
    /// Says which of the stages `wanted` would run, and why.
    fn tell(&self, wanted: &[usize], options: &Options) -> Result<()> {
        for step in self.plan.steps() {
            let (stage, _) = &self.plan.stages[step.index];
            if !wanted.contains(&step.index) {
                continue;
            }
            let what = match (step.state, options.forces(&stage.name)) {
                (State::Fresh, false) => "is up to date".to_owned(),
                (State::Unsure, false) => {
                    "is there; the stage looks whether it is up to date".to_owned()
                }
                (State::Running, _) => "is being made".to_owned(),
                (State::Unfinished, _) => "would go on".to_owned(),
                (State::Fresh | State::Unsure, true) => "would run: --force".to_owned(),
                _ => "would run".to_owned(),
            };
            let before = self.plan.run.place(&stage.output);
            let spent = before
                .filter(|_| step.state == State::Stale)
                .and_then(|place| spent(&place));
            let spent =
                spent.map_or_else(String::new, |time| format!(" (what is there took {time})"));
            let why = match step.why.is_empty() {
                true => String::new(),
                false => format!(": {}", step.why.join("; ")),
            };
            super::print(format!("{} {what}{why}{spent}", stage.name))?;
        }
        Ok(())
    }

    /// Runs the stages `wanted` as jobs of a cluster, or writes scripts that do.
    fn run_elsewhere(
        &self,
        workspace: &Workspace,
        wanted: &[usize],
        options: &Options,
    ) -> Result<()> {
        let mut to_make = Vec::new();
        for step in self.begin(wanted, options)?.steps {
            let (stage, _) = &self.plan.stages[step.index];
            match step.state == State::Fresh && !options.forces(&stage.name) {
                _ if !wanted.contains(&step.index) => {}
                true => self.finish(&step, self.place(&step)?)?,
                false => to_make.push(step.index),
            }
        }
        let jobs_option = options
            .jobs
            .map(|jobs| ["--jobs".to_owned(), jobs.to_string()]);
        let arguments = |stage: &Stage| {
            let flags = [
                (options.forces(&stage.name), "--force"),
                (options.discard, "--discard"),
                (options.locked, "--locked"),
            ];
            let flags = flags.into_iter().filter(|(given, _)| *given);
            let flags = flags.map(|(_, word)| word.to_owned());
            jobs_option
                .clone()
                .into_iter()
                .flatten()
                .chain(flags)
                .collect()
        };
        let jobs = executor::jobs(workspace, &self.plan, &self.programs, &to_make, &arguments)?;
        if let Some(target) = options.emit {
            let start = executor::emit(&jobs, target)?;
            return super::print(format!("wrote {}", shown(&start)));
        }
        executor::slurm::run(&jobs)?;
        executor::ended(&self.plan, wanted)
    }
}
