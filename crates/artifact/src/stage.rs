//! The parts that all stage programs share: the command line, and the run from arguments
//! to exit code.

use crate::Artifact;
use crate::staging::{Again, Share, apart, place};
use attend_program::config::{self, Unset};
use attend_program::describe::{self, Checked, Description, Parts};
use attend_program::run::resumable;
use attend_program::{Error, Result, log};
use clap::Parser;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// An input that a stage takes.
#[derive(Clone, Copy, Debug)]
pub struct InputSpec {
    /// Kind of the artifact.
    pub kind: &'static str,
    /// Whether the stage needs it.
    pub required: bool,
}

/// Description of a stage.
#[derive(Clone, Copy, Debug)]
pub struct StageSpec {
    /// Its program's name, such as `attend-vocab`.
    pub name: &'static str,
    /// Its version: the output is made again when it changes.
    pub version: &'static str,
    /// Its purpose, in one line.
    pub about: &'static str,
    /// The artifacts that it reads.
    pub inputs: &'static [InputSpec],
    /// Kind of the artifact that it makes.
    pub output: &'static str,
    /// Which parts of its output a stage can make again by themselves, byte for byte.
    pub parts: Parts,
    /// Parameters (`section.key`) that don't shape the output and are kept out
    /// of its manifest: paths, numbers of threads, devices. `section.key=value`: kept
    /// out if it has that value.
    pub unrecorded: &'static [&'static str],
    /// Those of them that name files or folders of the user.
    pub paths: &'static [&'static str],
    /// Whether it begins with [`Stage::begin_extending`].
    pub extends: bool,
}

#[derive(Parser)]
struct Args {
    /// Config file (TOML); the stage reads only its own sections
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a parameter of the config
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Artifact to read
    #[arg(long, value_name = "KIND=PATH")]
    input: Vec<String>,
    /// Where to put the artifact
    #[arg(long, value_name = "PATH", required_unless_present_any = ["describe", "check"])]
    output: Option<PathBuf>,
    /// Number of threads [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Make the output again even if it is up to date
    #[arg(long)]
    force: bool,
    /// Delete output made with other parameters or inputs even if it took more than a minute
    /// to make (as --force does)
    #[arg(long, conflicts_with_all = ["shards", "repair"])]
    discard: bool,
    /// Make these shards again, byte for byte: train-00003,val-00000
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "force"
    )]
    shards: Vec<String>,
    /// Check every file of the output and make damaged ones again, byte for byte
    #[arg(long, conflicts_with_all = ["force", "shards"])]
    repair: bool,
    /// Make only every Nth shard, from the Ith; --finalize combines them into the artifact
    #[arg(long, value_name = "I/N", value_parser = task, conflicts_with_all = ["force", "shards", "repair"])]
    task: Option<Share>,
    /// Combine the shards of all tasks into the artifact
    #[arg(long, conflicts_with_all = ["force", "shards", "repair", "task"])]
    finalize: bool,
    /// Only check the parameters, the files that they name and the inputs that exist; print
    /// as JSON the splits that are made or needed
    #[arg(long, conflicts_with_all = ["shards", "repair", "task", "finalize"])]
    check: bool,
    /// Append the log lines to this file, too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print name, version, parameters, inputs and output as JSON
    #[arg(long)]
    describe: bool,
}

/// One run of a stage.
pub struct Stage<C> {
    /// The effective parameters.
    pub config: C,
    /// Number of threads to work with, at least 1.
    pub jobs: usize,
    pub(crate) spec: StageSpec,
    pub(crate) inputs: BTreeMap<String, Artifact>,
    /// Kinds of inputs that another stage is still to make.
    promised: BTreeSet<String>,
    pub(crate) output: PathBuf,
    pub(crate) again: Again,
    pub(crate) discard: bool,
    pub(crate) share: Share,
    pub(crate) recorded: Value,
}

fn task(text: &str) -> Result<Share, String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((index, count)) if (1..=count).contains(&index) => Ok(Share::Task { index, count }),
        _ => Err("expected I/N, such as 1/8 to 8/8".into()),
    }
}

/// What a stage does for `--check`, before a pipeline runs: it refuses what it would refuse
/// later, as far as that can be known while some of its inputs are still to be made
/// ([`Stage::will_have`]).
pub type Check<C> = fn(&Stage<C>) -> Result<Checked>;

/// The check of a stage that needs nothing but valid parameters.
///
/// # Errors
/// None.
pub fn nothing<C>(_: &Stage<C>) -> Result<Checked> {
    Ok(Checked::default())
}

/// Runs a stage: reads its command line, calls `body`, or `check` for `--check`, and reports
/// errors. `C` has one field per section of the config; its `Default` holds the documented
/// defaults.
pub fn main<C, F>(spec: &StageSpec, check: Check<C>, body: F) -> ExitCode
where
    C: Serialize + DeserializeOwned + Default,
    F: FnOnce(&Stage<C>) -> Result<()>,
{
    main_with(spec, std::env::args_os(), "", check, body)
}

/// Like [`main`], with a given command line instead of the process's own, and a text
/// for the end of the help.
pub fn main_with<C, F>(
    spec: &StageSpec,
    arguments: impl IntoIterator<Item = OsString>,
    more_help: &'static str,
    check: Check<C>,
    body: F,
) -> ExitCode
where
    C: Serialize + DeserializeOwned + Default,
    F: FnOnce(&Stage<C>) -> Result<()>,
{
    let matches = command(spec)
        .after_help(more_help)
        .get_matches_from(arguments);
    let args = match <Args as clap::FromArgMatches>::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(e) => e.exit(),
    };
    if let Some(Err(error)) = args.log.as_deref().map(log::to) {
        return resumable(|| Err(error));
    }
    let run = || {
        if args.describe {
            return describe::<C>(spec);
        }
        let is_check = args.check;
        let (stage, unset) = Stage::new(*spec, args)?;
        let done = match is_check {
            true => check(&stage).and_then(|checked| checked.print()),
            false => body(&stage),
        };
        done.map_err(|error| unset.explain(error))
    };
    resumable(run)
}

/// The command line; its help shows only what the stage takes.
fn command(spec: &StageSpec) -> clap::Command {
    let kinds = spec.inputs.iter().map(|input| match input.required {
        true => input.kind.to_owned(),
        false => format!("{} (optional)", input.kind),
    });
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let command = <Args as clap::CommandFactory>::command()
        .name(spec.name)
        .version(spec.version)
        .about(spec.about)
        .mut_arg("input", |arg| {
            let help = format!("Artifact to read, one for each kind: {kinds}");
            arg.hide(spec.inputs.is_empty()).help(help)
        })
        .mut_arg("repair", |arg| arg.hide(spec.parts == Parts::None));
    let sharded = spec.parts == Parts::Shards;
    ["shards", "task", "finalize"]
        .into_iter()
        .fold(command, |command, name| {
            command.mut_arg(name, |arg| arg.hide(!sharded))
        })
}

fn describe<C: Serialize + Default>(spec: &StageSpec) -> Result<()> {
    let input = |input: &InputSpec| describe::Input {
        kind: input.kind.into(),
        required: input.required,
    };
    let description = Description {
        name: spec.name.into(),
        version: spec.version.into(),
        about: spec.about.into(),
        inputs: spec.inputs.iter().map(input).collect(),
        output: spec.output.into(),
        parts: spec.parts,
        parameters: config::defaults::<C>()?,
        unrecorded: spec.unrecorded.iter().map(|&name| name.into()).collect(),
        paths: Some(spec.paths.iter().map(|&name| name.into()).collect()),
        discard: true,
        extends: spec.extends,
        log: true,
        check: true,
    };
    description.print()
}

impl<C: Serialize + DeserializeOwned + Default> Stage<C> {
    fn new(spec: StageSpec, args: Args) -> Result<(Self, Unset)> {
        let (config, unset) =
            config::load::<C>(args.config.as_deref(), &args.set, spec.unrecorded)?;
        let mut recorded = serde_json::to_value(&config).map_err(Error::internal)?;
        for name in spec.unrecorded {
            let (name, only) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (*name, None),
            };
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            if let Some(section) = recorded.get_mut(section).and_then(Value::as_object_mut) {
                let found = section.get(key).map(Value::to_string);
                if only.is_none() || only == found.as_deref() {
                    section.remove(key);
                }
            }
        }
        if let Some(sections) = recorded.as_object_mut() {
            sections.retain(|_, section| section.as_object().is_none_or(|keys| !keys.is_empty()));
        }
        let sharded = !args.shards.is_empty() || args.task.is_some() || args.finalize;
        if (sharded && spec.parts != Parts::Shards) || (args.repair && spec.parts == Parts::None) {
            return Err(Error::usage(format!(
                "{} makes its output as a whole, so it takes no --shards, --repair, --task or --finalize",
                spec.name
            )));
        }
        let again = match (args.force, args.repair) {
            (true, _) => Again::All,
            (_, true) => Again::Damaged,
            _ if args.shards.is_empty() => Again::Stale,
            _ => Again::Shards(args.shards),
        };
        let share = match args.task {
            Some(task) => task,
            None if args.finalize => Share::Finalize,
            None => Share::All,
        };
        let (inputs, promised) = open_inputs(&spec, &args.input, args.check)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let output = match args.output {
            Some(output) => {
                let output = place::destination(&output)?;
                apart(&output, inputs.values().map(|input| &*input.root))?;
                output
            }
            None => PathBuf::new(), // `--check` makes nothing
        };
        let stage = Stage {
            config,
            jobs: args.jobs.unwrap_or(cores).max(1),
            spec,
            inputs,
            promised,
            output,
            again,
            discard: args.discard,
            share,
            recorded,
        };
        Ok((stage, unset))
    }
}

impl<C> Stage<C> {
    /// The input artifact of a kind.
    ///
    /// # Errors
    /// [`Error::Usage`] if it was not given.
    pub fn input(&self, kind: &str) -> Result<&Artifact> {
        self.optional_input(kind).ok_or_else(|| {
            Error::usage(format!("{} needs --input {kind}=PATH here", self.spec.name))
        })
    }

    /// The input artifact of a kind, if it was given.
    pub fn optional_input(&self, kind: &str) -> Option<&Artifact> {
        self.inputs.get(kind)
    }

    /// Whether the stage will have an input of this kind when it runs: now, or, with
    /// `--check`, once another stage has made it.
    pub fn will_have(&self, kind: &str) -> bool {
        self.inputs.contains_key(kind) || self.promised.contains(kind)
    }

    /// The folder of the artifact to make.
    pub fn output(&self) -> &std::path::Path {
        &self.output
    }
}

/// Opens the inputs. With `check`, those that don't exist yet are only named.
fn open_inputs(
    spec: &StageSpec,
    given: &[String],
    check: bool,
) -> Result<(BTreeMap<String, Artifact>, BTreeSet<String>)> {
    let kinds = || {
        spec.inputs
            .iter()
            .map(|input| input.kind)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (mut inputs, mut promised) = (BTreeMap::new(), BTreeSet::new());
    for item in given {
        let Some((kind, path)) = item.split_once('=') else {
            return Err(Error::usage(format!("--input {item}: expected KIND=PATH")));
        };
        if !spec.inputs.iter().any(|input| input.kind == kind) {
            return Err(Error::usage(format!(
                "--input {item}: {} takes {}, not {kind}",
                spec.name,
                kinds()
            )));
        }
        if check && !Path::new(path).exists() {
            promised.insert(kind.to_owned());
            continue;
        }
        inputs.insert(kind.to_owned(), Artifact::open_kind(path.as_ref(), kind)?);
    }
    for input in spec.inputs.iter().filter(|input| input.required) {
        if !inputs.contains_key(input.kind) && !promised.contains(input.kind) {
            return Err(Error::usage(format!(
                "{} needs --input {}=PATH",
                spec.name, input.kind
            )));
        }
    }
    Ok((inputs, promised))
}
