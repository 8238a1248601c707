//! `cargo xtask run`, and the tasks that run part of a pipeline.

use crate::child::{self, Ways};
use crate::config::{Choice, Config};
use crate::describe::describe_all;
use crate::parameters::schema;
use crate::pipeline::{Pipeline, Stage};
use crate::plan::{Digests, Plan, Step};
use crate::preflight;
use crate::programs::Programs;
use crate::run::{self, CONFIG, PIPELINE, Pin, Run, write_if_new};
use crate::schedule::{self, Rules};
use crate::store::{Manifest, State, beside, carry};
use crate::workspace::{Workspace, shown};
use attend_program::describe::{Description, Parts};
use attend_program::{At, Error, Result, say};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

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
    /// Cargo profile to build the stages with [default: ATTEND_PROFILE, else release]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// A checked pipeline, with its programs built.
pub struct Prepared {
    /// Its stages and their states.
    pub plan: Plan,
    /// The programs of the stages, and those that a task runs besides.
    pub programs: Programs,
    source: PathBuf,
}

/// Runs the stages that `options` select. `pipeline` overrides the config's pipeline.
/// Without `--to`, the last stage is the last one that makes one of `goal`, if given.
pub fn run(
    workspace: &Workspace,
    pipeline: Option<&str>,
    goal: &[&str],
    options: &Options,
) -> Result<()> {
    let artifacts = artifacts(workspace, options);
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
    match options.dry_run {
        true => prepared.tell(&wanted, options),
        false => prepared.run(&wanted, options, false),
    }
}

/// The pipeline of this name, else the config's, else that of the run.
fn load(
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

fn artifacts(workspace: &Workspace, options: &Options) -> PathBuf {
    let given = options.artifacts.clone();
    given.unwrap_or_else(|| workspace.artifacts())
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
    let run = Run::of(&artifacts(workspace, options), &config.run_name()?);
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
    /// Runs the stages `wanted`. `quiet` discards their standard output.
    fn run(&self, wanted: &[usize], options: &Options, quiet: bool) -> Result<()> {
        let plan = &self.plan;
        plan.adopt()?;
        self.write_run()?;
        let pinned = match options.locked {
            true => Some(self.pinned()?),
            false => None,
        };
        self.preflight(wanted, options)?;
        let count = wanted.len();
        let title = |step: &Step| {
            let number = wanted.iter().position(|index| *index == step.index);
            let name = &plan.stages[step.index].0.name;
            format!("[{}/{count}] {name}", number.map_or(0, |n| n + 1))
        };
        let decide = |step: &Step| {
            let (stage, description) = &plan.stages[step.index];
            let place = self.place(step)?;
            self.check_pin(pinned.as_ref(), stage, place, None)?;
            let parts = options.task.is_some() || options.finalize || {
                options.shards.is_some() && description.parts == Parts::Shards
            };
            if step.state == State::Fresh && !parts && !is_forced(options, stage) {
                let digest = step.digest.clone().unwrap_or_default();
                self.check_pin(pinned.as_ref(), stage, place, Some(&digest))?;
                self.finish(step, place)?;
                let short = digest.get(..12).unwrap_or(&digest);
                say!("{}: up to date ({short})", title(step));
                if let (Ok(printed), false) =
                    (std::fs::read_to_string(beside(place, ".out")), quiet)
                {
                    super::print(printed.trim_end())?;
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
        schedule::run(plan, wanted, self.earlier(wanted), rules, decide, work)
    }

    /// Checks, if several stages are to run, what the later ones will need.
    fn preflight(&self, wanted: &[usize], options: &Options) -> Result<()> {
        let steps = self.plan.steps();
        let is_to_run = |step: &&Step| {
            let (stage, _) = &self.plan.stages[step.index];
            let fresh = step.state.is_there() && !is_forced(options, stage);
            wanted.contains(&step.index) && !fresh
        };
        let to_run: Vec<&Step> = steps.iter().filter(is_to_run).collect();
        match to_run.len() {
            0 | 1 => Ok(()),
            _ => {
                let config = |index| self.write_config(index);
                preflight::check(&self.plan, &self.programs, &to_run, config)
            }
        }
    }

    /// Runs all stages.
    pub fn run_all(&self, options: &Options, quiet: bool) -> Result<()> {
        let all: Vec<usize> = (0..self.plan.stages.len()).collect();
        self.run(&all, options, quiet)
    }

    /// Says which of the stages `wanted` would run, and why.
    fn tell(&self, wanted: &[usize], options: &Options) -> Result<()> {
        for step in self.plan.steps() {
            let (stage, _) = &self.plan.stages[step.index];
            if !wanted.contains(&step.index) {
                continue;
            }
            let what = match (step.state, is_forced(options, stage)) {
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
    fn place<'a>(&self, step: &'a Step) -> Result<&'a Path> {
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

    /// Runs a stage; returns the digest of what it has made.
    fn make(
        &self,
        step: &Step,
        place: &Path,
        options: &Options,
        quiet: bool,
        alone: bool,
    ) -> Result<String> {
        let (stage, description) = &self.plan.stages[step.index];
        let run = &self.plan.run;
        let _lock = run.lock(&stage.name, options.task.is_some())?;
        std::fs::create_dir_all(&run.store.root).at(&run.store.root)?;
        let config = self.write_config(step.index)?;
        let mut carried = false;
        if let (true, Some(request)) = (description.extends, &step.request) {
            let begun = [run.next(&stage.output), run.place(&stage.output)];
            for from in begun.into_iter().flatten() {
                carried = carried || carry(&from, place, request)?;
            }
        }
        run.begin(&stage.output, place)?;
        let log = beside(place, ".log");
        let mut command = self.command(stage, &config, place, options)?;
        if is_forced(options, stage) {
            command.arg("--force");
        }
        if (options.discard || carried) && description.discard {
            command.arg("--discard");
        }
        if description.log {
            command.arg("--log").arg(&log);
        }
        if let (Some(shards), Parts::Shards) = (&options.shards, description.parts) {
            command.args(["--shards", shards]);
        }
        run.link_log(&stage.name, &log)?;
        let prefix = if alone {
            ""
        } else {
            &format!("{}: ", stage.name)
        };
        let ways = Ways {
            terminal: alone && description.log,
            prefix,
            log: (!description.log).then_some(&log),
            out: &beside(place, ".out"),
            quiet,
        };
        child::run_stage(&mut command, ways)?;
        if options.task.is_some() {
            return Ok(String::new());
        }
        match Manifest::read(place) {
            Some(Ok(manifest)) => Ok(manifest.digest),
            found => Err(Error::refused(format!(
                "stage {}: {} has left no artifact at {}{}",
                stage.name,
                stage.command.join(" "),
                shown(place),
                found.map_or_else(String::new, |e| format!(
                    " ({})",
                    e.err().unwrap_or_default()
                ))
            ))),
        }
    }

    fn command(
        &self,
        stage: &Stage,
        config: &Path,
        place: &Path,
        options: &Options,
    ) -> Result<Command> {
        let mut command = self.programs.command(&stage.command)?;
        command.arg("--config").arg(shown(config));
        for (kind, folder) in &stage.inputs {
            let path = shown(&self.plan.run.path(folder));
            command.arg("--input").arg(format!("{kind}={path}"));
        }
        command.arg("--output").arg(shown(place));
        if let Some(jobs) = options.jobs {
            command.args(["--jobs", &jobs.to_string()]);
        }
        if let Some(task) = &options.task {
            command.args(["--task", task]);
        }
        if options.finalize {
            command.arg("--finalize");
        }
        Ok(command)
    }

    /// Enters the artifact at `place` in the run's folder, with the parameters and the files
    /// of the inputs that made it.
    fn finish(&self, step: &Step, place: &Path) -> Result<()> {
        let (stage, _) = &self.plan.stages[step.index];
        let run = &self.plan.run;
        let config = self.write_config(step.index)?;
        run.finish(&stage.output, place)?;
        let made = run.config(&stage.name, ".toml");
        if config != made {
            std::fs::rename(&config, &made).at(&config)?;
        }
        let inputs = stage.inputs.iter().filter_map(|(kind, folder)| {
            let manifest = Manifest::read(&run.place(folder)?)?.ok()?;
            Some((kind.clone(), run::files(&manifest)))
        });
        run.write_inputs(&stage.name, &inputs.collect::<BTreeMap<_, _>>())
    }

    /// The digests that the run is pinned to.
    fn pinned(&self) -> Result<run::Pinned> {
        self.plan.run.pinned()?.ok_or_else(|| {
            let folder = &self.plan.run.folder;
            Error::usage(format!(
                "--locked: {} has no {}; `cargo xtask lock {}` pins a finished run",
                shown(folder),
                run::LOCK,
                crate::folders::name(folder)
            ))
        })
    }

    /// Refuses an artifact other than the pinned one. `digest` is known once it is made.
    fn check_pin(
        &self,
        pinned: Option<&run::Pinned>,
        stage: &Stage,
        place: &Path,
        digest: Option<&str>,
    ) -> Result<()> {
        let Some(pinned) = pinned else { return Ok(()) };
        let name = crate::folders::name(place);
        let why = match pinned.get(&stage.name) {
            None => format!("{} is not pinned", stage.name),
            Some(Pin { place, .. }) if *place != name => {
                format!(
                    "{} was made with other parameters or inputs ({place}, now {name})",
                    stage.name
                )
            }
            Some(pin) if digest.is_some_and(|digest| digest != pin.digest) => format!(
                "{} is {} now, and pinned to {}",
                stage.name,
                digest.unwrap_or_default(),
                pin.digest
            ),
            Some(_) => return Ok(()),
        };
        let lock = self.plan.run.folder.join(run::LOCK);
        Err(Error::refused(format!("{}: {why}", shown(&lock))))
    }

    /// Writes what the run was given, and the stages that make its artifacts.
    fn write_run(&self) -> Result<()> {
        let Plan { run, stages, given } = &self.plan;
        let mut given = given.clone();
        let section = given
            .entry("run")
            .or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            let name = crate::folders::name(&run.folder);
            section.insert("name".to_owned(), name.into());
        }
        let text = format!("# given by {}\n\n{given}", shown(&self.source));
        if self.source != run.folder.join(CONFIG) {
            write_if_new(&run.folder.join(CONFIG), &text)?;
        }
        let pipeline = Pipeline {
            stages: stages.iter().map(|(stage, _)| stage.clone()).collect(),
        };
        let text = toml::to_string(&pipeline).map_err(Error::internal)?;
        write_if_new(&run.folder.join(PIPELINE), &text)
    }

    /// Writes `config/STAGE.toml`: every parameter of a stage, with its value in this run,
    /// so that the stage can be run by itself. An older file holds the parameters of the
    /// existing artifact; then the new one is called `STAGE.next.toml` until the stage
    /// has succeeded.
    fn write_config(&self, index: usize) -> Result<PathBuf> {
        let (stage, _) = &self.plan.stages[index];
        let table = self.plan.parameters(index);
        let command = stage.command.join(" ");
        let text = format!("# {command}, with its defaults\n\n{table}");
        let path = self.plan.run.config(&stage.name, ".toml");
        let content = |text: &str| text.parse::<toml::Table>().ok();
        let old = std::fs::read_to_string(&path).ok();
        let path = match old.is_some_and(|old| content(&old).as_ref() != Some(&table)) {
            true => self.plan.run.config(&stage.name, ".next.toml"),
            false if path.exists() => return Ok(path),
            false => path,
        };
        write_if_new(&path, &text)?;
        Ok(path)
    }
}

/// Whether the artifact of a stage is to be made even if it is up to date.
fn is_forced(options: &Options, stage: &Stage) -> bool {
    let stages = options.force.as_ref();
    stages.is_some_and(|stages| {
        stages
            .iter()
            .any(|name| name.is_empty() || *name == stage.name)
    })
}

/// The time that the artifact at `place` took to make, as text.
pub fn spent(place: &Path) -> Option<String> {
    let text = std::fs::read(place.join(".work.json")).ok()?;
    let work: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let seconds = work.get("seconds")?.as_u64()?;
    Some(match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    })
}

/// The time since `started` as text: seconds, or minutes and seconds.
pub fn seconds(started: Instant) -> String {
    let seconds = started.elapsed().as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!(
            "{:.0} min {:02.0} s",
            (seconds / 60.0).floor(),
            seconds % 60.0
        )
    }
}
