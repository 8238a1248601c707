//! `cargo xtask run`, and the tasks that run part of a pipeline.

use crate::child;
use crate::config::Config;
use crate::describe::describe;
use crate::parameters::{effective, schema};
use crate::pipeline::{Pipeline, Stage};
use crate::programs::Programs;
use crate::workspace::{Workspace, shown};
use attend_program::describe::{Description, Parts};
use attend_program::{At, Error, Result, say, whole};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Command line of the tasks that run stages.
#[derive(Default, clap::Args)]
pub struct Options {
    /// Config file, such as configs/coco2014.toml
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Override a parameter of the config
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Make the outputs again even if they are up to date
    #[arg(long)]
    pub force: bool,
    /// Delete output made with other parameters or inputs even if it took more than a minute
    /// to make
    #[arg(long, conflicts_with = "shards")]
    pub discard: bool,
    /// Make these shards of the data set and the features again, byte for byte
    #[arg(long, value_name = "NAMES", conflicts_with = "force")]
    pub shards: Option<String>,
    /// First stage to run; the outputs of the earlier ones must exist
    #[arg(long, value_name = "STAGE")]
    pub from: Option<String>,
    /// Last stage to run
    #[arg(long, value_name = "STAGE")]
    pub until: Option<String>,
    /// Where to make the run's folder [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Number of threads of each stage [default: all cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Cargo profile to build the stages with [default: ATTEND_PROFILE, else release]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// The file in a run's folder that holds its pipeline.
pub const PIPELINE: &str = "config/pipeline.toml";

/// A checked pipeline, with its programs built.
pub struct Prepared {
    /// The run's folder.
    pub folder: PathBuf,
    /// The programs of the stages, and those that a task runs besides.
    pub programs: Programs,
    stages: Vec<(Stage, Description)>,
    given: toml::Table,
    source: PathBuf,
}

/// Runs the stages that `options` select. `pipeline` overrides the config's pipeline.
/// Without `--until`, the last stage is the last one that makes one of `goal`, if given.
pub fn run(
    workspace: &Workspace,
    pipeline: Option<&str>,
    goal: &[&str],
    options: &Options,
) -> Result<()> {
    let config = Config::read(&options.config, &options.set)?;
    let name = pipeline.map_or_else(|| config.pipeline(), |name| Ok(name.to_owned()))?;
    let pipeline = Pipeline::load(workspace, &name)?;
    let until = match (&options.until, goal) {
        (Some(name), _) => pipeline.position(name)?,
        (None, []) => pipeline.stages.len() - 1,
        (None, goal) => pipeline.position(pipeline.last_that_makes(goal)?)?,
    };
    let from = options
        .from
        .as_ref()
        .map_or(Ok(0), |name| pipeline.position(name))?;
    if from > until {
        return Err(Error::usage("--from comes after --until"));
    }
    prepare(workspace, pipeline, &config, &[], options)?.run(from..=until, options, false)
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
    let artifacts = options
        .artifacts
        .clone()
        .unwrap_or_else(|| workspace.artifacts());
    let folder = artifacts.join(config.run_name()?);
    let names = pipeline
        .stages
        .iter()
        .filter_map(|stage| stage.command.first())
        .map(String::as_str);
    let programs = Programs::prepare(
        workspace,
        names.chain(more.iter().copied()),
        options.profile.as_deref(),
    )?;
    let stages = describe_all(&programs, pipeline.stages)?;
    for (stage, description) in &stages {
        check(stage, description, &stages)?;
    }
    let given = config.given(&schema(&stages)?)?;
    Ok(Prepared {
        folder,
        programs,
        stages,
        given,
        source: options.config.clone(),
    })
}

/// Asks all stages in parallel, because each loads libraries of hundreds of megabytes.
fn describe_all(programs: &Programs, stages: Vec<Stage>) -> Result<Vec<(Stage, Description)>> {
    let commands = stages
        .iter()
        .map(|stage| programs.command(&stage.command))
        .collect::<Result<Vec<_>>>()?;
    let descriptions: Vec<Result<Description>> = std::thread::scope(|scope| {
        let asked: Vec<_> = commands
            .into_iter()
            .map(|command| scope.spawn(|| describe(command)))
            .collect();
        asked
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("asking a stage failed")))
            })
            .collect()
    });
    stages
        .into_iter()
        .zip(descriptions)
        .map(|(stage, description)| Ok((stage, description?)))
        .collect()
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
    /// Runs the stages in `range`. `quiet` discards their standard output.
    fn run(&self, range: RangeInclusive<usize>, options: &Options, quiet: bool) -> Result<()> {
        let count = range.clone().count();
        for (index, (stage, description)) in self.stages[range].iter().enumerate() {
            let title = format!("[{}/{count}] {}", index + 1, stage.name);
            say!("{title}");
            let started = Instant::now();
            let config = self.write_config(stage, description)?;
            let mut command = self.command(stage, &config, description, options)?;
            if quiet {
                command.stdout(Stdio::null());
            }
            // The stage itself has printed the error.
            child::run_ok(&mut command).inspect_err(|error| {
                let how = if error.exit_code() == 130 {
                    "interrupted; the same command continues from there"
                } else {
                    "failed"
                };
                say!("{title}: {how}");
            })?;
            std::fs::rename(&config, self.config_of(stage)).at(&config)?;
            self.write_pipeline()?;
            say!("{title}: {}", seconds(started));
        }
        Ok(())
    }

    /// Runs all stages.
    pub fn run_all(&self, options: &Options, quiet: bool) -> Result<()> {
        self.run(0..=self.stages.len() - 1, options, quiet)
    }

    fn command(
        &self,
        stage: &Stage,
        config: &Path,
        description: &Description,
        options: &Options,
    ) -> Result<Command> {
        let mut command = self.programs.command(&stage.command)?;
        command.arg("--config").arg(config);
        for (kind, folder) in &stage.inputs {
            let path = self.folder.join(folder);
            if !path.join("manifest.json").is_file() {
                return Err(Error::usage(format!(
                    "stage {}: its input {} does not exist; run the stage that makes it",
                    stage.name,
                    shown(&path)
                )));
            }
            command
                .arg("--input")
                .arg(format!("{kind}={}", shown(&path)));
        }
        command
            .arg("--output")
            .arg(shown(&self.folder.join(&stage.output)));
        if let Some(jobs) = options.jobs {
            command.args(["--jobs", &jobs.to_string()]);
        }
        if options.force {
            command.arg("--force");
        }
        if options.discard && description.discard {
            command.arg("--discard");
        }
        if let (Some(shards), Parts::Shards) = (&options.shards, description.parts) {
            command.args(["--shards", shards]);
        }
        Ok(command)
    }

    /// Writes `config/pipeline.toml`: the stages that made this run's artifacts, for
    /// `verify --repair`.
    fn write_pipeline(&self) -> Result<()> {
        let pipeline = Pipeline {
            stages: self.stages.iter().map(|(stage, _)| stage.clone()).collect(),
        };
        let text = toml::to_string(&pipeline).map_err(Error::internal)?;
        write_if_new(&self.folder.join(PIPELINE), &text)
    }

    /// Writes `config/STAGE.toml`: every parameter of a stage, with its value in this run,
    /// so that the stage can be run by itself. An older file holds the parameters of the
    /// existing artifact; then the new one is called `STAGE.next.toml` until the stage
    /// has succeeded.
    fn write_config(&self, stage: &Stage, description: &Description) -> Result<PathBuf> {
        let table = effective(&description.parameters, &self.given, &stage.sections);
        let text = format!(
            "# {} of {}, with its defaults\n\n{table}",
            stage.command.join(" "),
            shown(&self.source)
        );
        let path = self.config_of(stage);
        let other = std::fs::read_to_string(&path).is_ok_and(|old| old != text);
        let path = match other {
            true => path.with_extension("next.toml"),
            false => path,
        };
        write_if_new(&path, &text)?;
        Ok(path)
    }

    fn config_of(&self, stage: &Stage) -> PathBuf {
        let name = format!("config/{}.toml", stage.name);
        self.folder.join(name)
    }
}

fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).at(folder)?;
    }
    whole::write_bytes(path, text)
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
