//! A pipeline that is ready to run: checked, with its programs built.
//!
//! - `make`: runs a stage, and enters what it has made in the run's folder.
//! - `pins`: compares artifacts with those that the run is pinned to.

mod make;
mod pins;

use crate::config::Config;
use crate::describe::describe_all;
use crate::options::Options;
use crate::parameters::schema;
use crate::pipeline::{Pipeline, Stage};
use crate::plan::{Digests, Plan, Step};
use crate::preflight;
use crate::programs::Programs;
use crate::run::{Pinned, Run};
use crate::schedule::{self, Rules};
use crate::store::{Manifest, State, beside};
use crate::time::seconds;
use crate::workspace::{Workspace, shown};
use attend_program::describe::{Description, Parts};
use attend_program::{Error, Result, output, say};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A checked pipeline, with its programs built.
pub struct Prepared {
    /// Its stages and their states.
    pub plan: Plan,
    /// The programs of the stages, and those that a task runs besides.
    pub programs: Programs,
    /// What stands before its lines if others run beside it; then none of its stages has the
    /// terminal for itself.
    pub label: String,
    source: PathBuf,
}

/// What [`Prepared::begin`] has found out.
pub struct Begun {
    /// The digests that the run is pinned to, with `--locked`.
    pinned: Option<Pinned>,
    /// The states of all stages.
    pub steps: Vec<Step>,
}

impl Begun {
    /// Whether the artifacts of the stages `wanted` are up to date.
    pub fn is_fresh(&self, wanted: &[usize]) -> bool {
        let wanted = self
            .steps
            .iter()
            .filter(|step| wanted.contains(&step.index));
        wanted.into_iter().all(|step| step.state == State::Fresh)
    }
}

/// Builds the programs, and checks pipeline and config against the stages' descriptions
/// before anything runs. `more` names further programs to build.
pub fn prepare(
    workspace: &Workspace,
    pipeline: Pipeline,
    config: &Config,
    more: &[&str],
    options: &Options,
) -> Result<Prepared> {
    let run = Run::of(&options.artifacts(workspace), &config.run_name()?);
    let names = pipeline
        .stages
        .iter()
        .filter_map(|stage| stage.command.first());
    let names = names.map(String::as_str).chain(more.iter().copied());
    let programs = Programs::prepare(workspace, names, options.profile.as_deref())?;
    let stages = described(&programs, &run, pipeline)?;
    for (stage, description) in &stages {
        check(stage, description, &stages)?;
    }
    let given = config.given(&schema(&stages)?)?;
    Ok(Prepared {
        plan: Plan { run, stages, given },
        programs,
        label: String::new(),
        source: config.path().to_owned(),
    })
}

/// Asks the stages of a pipeline for their descriptions.
pub fn described(
    programs: &Programs,
    run: &Run,
    pipeline: Pipeline,
) -> Result<Vec<(Stage, Description)>> {
    let commands: Vec<&[String]> = pipeline
        .stages
        .iter()
        .map(|stage| &*stage.command)
        .collect();
    let descriptions = describe_all(programs, &run.store, &commands)?;
    Ok(pipeline.stages.into_iter().zip(descriptions).collect())
}

/// Checks that a stage gets the inputs that it takes, from stages that make their kinds.
fn check(stage: &Stage, description: &Description, all: &[(Stage, Description)]) -> Result<()> {
    let refuse = |why: String| Err(Error::usage(format!("stage {}: {why}", stage.name)));
    let program = stage.command.join(" ");
    let kinds: Vec<&str> = description
        .inputs
        .iter()
        .map(|input| input.kind.as_str())
        .collect();
    for (kind, folder) in &stage.inputs {
        if !kinds.contains(&kind.as_str()) {
            return refuse(format!(
                "{program} takes no input {kind}; it takes: {}",
                kinds.join(", ")
            ));
        }
        if let Some((maker, made)) = all
            .iter()
            .find(|(other, made)| other.output == *folder && made.output != *kind)
        {
            return refuse(format!(
                "its input {kind} is {folder}, but stage {} makes that as an artifact of kind {}",
                maker.name, made.output
            ));
        }
    }
    if let Some(input) = description
        .inputs
        .iter()
        .find(|input| input.required && !stage.inputs.contains_key(&input.kind))
    {
        return refuse(format!("{program} needs an input of kind {}", input.kind));
    }
    Ok(())
}

impl Prepared {
    /// The same pipeline with another config, for another run.
    pub fn with(&self, config: &Config) -> Result<Prepared> {
        let Plan { run, stages, .. } = &self.plan;
        let run = Run {
            folder: run.folder.with_file_name(config.run_name()?),
            store: run.store.clone(),
        };
        Ok(Prepared {
            plan: Plan {
                run,
                given: config.given(&schema(stages)?)?,
                stages: stages.clone(),
            },
            programs: self.programs.clone(),
            label: String::new(),
            source: config.path().to_owned(),
        })
    }

    /// Runs the stages `wanted`. `quiet` discards their standard output.
    pub fn run(&self, wanted: &[usize], options: &Options, quiet: bool) -> Result<()> {
        self.run_begun(self.begin(wanted, options)?, wanted, options, quiet)
    }

    /// Runs the stages `wanted`, which have passed [`Prepared::begin`].
    pub fn run_begun(
        &self,
        begun: Begun,
        wanted: &[usize],
        options: &Options,
        quiet: bool,
    ) -> Result<()> {
        let plan = &self.plan;
        let Begun { pinned, steps } = begun;
        let count = wanted.len();
        let title = |step: &Step| {
            let number = wanted.iter().position(|index| *index == step.index);
            let name = &plan.stages[step.index].0.name;
            let number = number.map_or(0, |n| n + 1);
            format!("{}[{number}/{count}] {name}", self.label)
        };
        let decide = |step: &Step| {
            let (stage, description) = &plan.stages[step.index];
            let place = self.place(step)?;
            self.check_pin(pinned.as_ref(), stage, place, None)?;
            let parts = options.task.is_some() || options.finalize || {
                options.shards.is_some() && description.parts == Parts::Shards
            };
            if step.state == State::Fresh && !parts && !options.forces(&stage.name) {
                let digest = step.digest.clone().unwrap_or_default();
                self.check_pin(pinned.as_ref(), stage, place, Some(&digest))?;
                self.finish(step, place)?;
                let short = digest.get(..12).unwrap_or(&digest);
                say!("{}: up to date ({short})", title(step));
                if let (Ok(printed), false) =
                    (std::fs::read_to_string(beside(place, ".out")), quiet)
                {
                    output::print(printed.trim_end())?;
                }
                return Ok(Some(digest));
            }
            match step.why.is_empty() || step.state == State::Running {
                true => say!("{}", title(step)),
                false => say!("{}: {}", title(step), step.why.join("; ")),
            }
            Ok(None)
        };
        let work = |step: &Step, alone: bool| {
            let (stage, _) = &plan.stages[step.index];
            let started = Instant::now();
            let place = self.place(step)?;
            let alone = alone && self.label.is_empty();
            let made = self.make(step, place, options, quiet, alone);
            // The stage itself has printed the error.
            let digest = made.inspect_err(|error| {
                let how = match error.exit_code() {
                    130 => "interrupted; the same command continues from there",
                    _ => "failed",
                };
                say!("{}: {how}", title(step));
            })?;
            if options.task.is_none() {
                self.check_pin(pinned.as_ref(), stage, place, Some(&digest))?;
                self.finish(step, place)?;
            }
            say!("{}: {}", title(step), seconds(started));
            Ok(digest)
        };
        let rules = Rules {
            at_once: options.at_once,
            keep_going: options.keep_going,
        };
        let earlier = self.earlier(wanted);
        schedule::run(plan, wanted, &steps, earlier, rules, decide, work)
    }

    /// Refuses what can be refused before a stage runs or a job is submitted: other artifacts
    /// than the pinned ones, and what several stages will lack. Only then writes down what the
    /// run was given, so that a refused attempt leaves it as it was.
    pub fn begin(&self, wanted: &[usize], options: &Options) -> Result<Begun> {
        // A stage that runs alone refuses as early by itself.
        self.begin_asking(2, wanted, options)
    }

    /// The same; the stages are asked what they will lack if at least so many are to run.
    pub fn begin_asking(&self, least: usize, wanted: &[usize], options: &Options) -> Result<Begun> {
        self.plan.adopt()?;
        let pinned = match options.locked {
            true => Some(self.pinned()?),
            false => None,
        };
        let steps = self.plan.steps();
        for step in steps.iter().filter(|step| wanted.contains(&step.index)) {
            if let Some(place) = &step.place {
                let (stage, _) = &self.plan.stages[step.index];
                self.check_pin(pinned.as_ref(), stage, place, None)?;
            }
        }
        let is_to_run = |step: &&Step| {
            let (stage, _) = &self.plan.stages[step.index];
            let fresh = step.state.is_there() && !options.forces(&stage.name);
            wanted.contains(&step.index) && !fresh
        };
        let to_run: Vec<&Step> = steps.iter().filter(is_to_run).collect();
        if to_run.len() >= least.max(1) {
            let config = |index| self.write_config(index);
            preflight::check(&self.plan, &self.programs, &to_run, config)?;
        }
        self.write_run()?;
        Ok(Begun { pinned, steps })
    }

    /// Runs all stages.
    pub fn run_all(&self, options: &Options, quiet: bool) -> Result<()> {
        let all: Vec<usize> = (0..self.plan.stages.len()).collect();
        self.run(&all, options, quiet)
    }

    /// The digests of the artifacts that the stages before `wanted` have left.
    fn earlier(&self, wanted: &[usize]) -> Digests {
        let others = (0..self.plan.stages.len()).filter(|index| !wanted.contains(index));
        let outputs = others.map(|index| &self.plan.stages[index].0.output);
        let digest = |output: &String| {
            let manifest = Manifest::read(&self.plan.run.place(output)?)?.ok()?;
            Some((output.clone(), manifest.digest))
        };
        outputs.filter_map(digest).collect()
    }

    /// The place of a stage's artifact.
    pub fn place<'a>(&self, step: &'a Step) -> Result<&'a Path> {
        let (stage, _) = &self.plan.stages[step.index];
        let missing = || {
            let missing = |folder: &&String| {
                let place = self.plan.run.place(folder);
                !place.is_some_and(|place| place.join("manifest.json").is_file())
            };
            let folder = stage
                .inputs
                .values()
                .find(missing)
                .map_or("", String::as_str);
            Error::usage(format!(
                "stage {}: its input {} does not exist; run the stage that makes it",
                stage.name,
                shown(&self.plan.run.path(folder))
            ))
        };
        step.place.as_deref().ok_or_else(missing)
    }
}
