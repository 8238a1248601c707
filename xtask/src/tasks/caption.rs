//! `cargo xtask caption IMAGE…`: describes photographs with a run's model.

use crate::child;
use crate::config::Config;
use crate::folders::name;
use crate::programs::Programs;
use crate::runs::{Entry, find, list};
use crate::words::take;
use crate::workspace::{Workspace, shown};
use attend_program::{Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask caption`: that of `attend-caption`, and the choice of a
/// run.
#[derive(clap::Args)]
#[command(override_usage = "cargo xtask caption [--run NAME | --model DIR] IMAGE|FOLDER|-...")]
pub struct Args {
    /// --run NAME or --config FILE: use the model of this run [default: the only run that
    /// has one]; --model DIR: use this model or checkpoint, or a run's; --artifacts DIR: folder of the runs;
    /// --attention DIR: draw where the model looked; --beam N; --json; and every other
    /// option of attend-caption
    #[arg(
        value_name = "OPTIONS AND IMAGES",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Finds the model and passes the images on to `attend-caption`.
pub fn run(workspace: &Workspace, args: Args) -> Result<()> {
    pass_on(workspace, "attend-caption", args.arguments)
}

/// Starts a program with the model that the arguments choose, and with the other arguments.
pub fn pass_on(workspace: &Workspace, program: &str, arguments: Vec<OsString>) -> Result<()> {
    let mut rest = arguments;
    let given = take(&mut rest, "--model")?;
    let config = take(&mut rest, "--config")?;
    let run = take(&mut rest, "--run")?;
    let artifacts = take(&mut rest, "--artifacts")?.unwrap_or_else(|| workspace.artifacts());
    let model = match (given, config, run) {
        (Some(model), None, None) => match artifacts.join(&model).join("model") {
            // The name of a run stands for its model, unless there is such a folder.
            of_run if !model.exists() && of_run.join("manifest.json").is_file() => of_run,
            _ => model,
        },
        (None, Some(config), None) => {
            let train = format!("--config {}", config.display());
            model_of(
                &artifacts.join(Config::read(&config, &[])?.run_name()?),
                &train,
            )?
        }
        (None, None, Some(run)) => {
            let train = format!("--run {}", run.display());
            model_of(&find(&artifacts, &run.to_string_lossy())?, &train)?
        }
        (None, None, None) => only_model(&artifacts)?,
        _ => return Err(Error::usage("give one of --model, --config and --run")),
    };
    let programs = Programs::prepare(workspace, [program], None)?;
    let mut command = programs.command(&[program.to_owned()])?;
    child::run_ok(command.arg("--model").arg(model).args(rest))
}

/// The model in a run's folder. `train` names the run for `cargo xtask train`.
fn model_of(run: &Path, train: &str) -> Result<PathBuf> {
    let model = run.join("model");
    if model.join("manifest.json").is_file() {
        return Ok(model);
    }
    Err(Error::usage(format!(
        "{} does not exist; train it with `cargo xtask train {train}`",
        shown(&model)
    )))
}

fn only_model(artifacts: &Path) -> Result<PathBuf> {
    let runs = list(artifacts)?.into_iter();
    let models: Vec<PathBuf> = runs.flat_map(|(_, entries)| models(entries)).collect();
    match models.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::usage(
            "no run has a model yet; train one (`cargo xtask demo` makes a small one) or name one with --model",
        )),
        several => {
            let several: Vec<String> = several.iter().map(|path| shown(path)).collect();
            Err(Error::usage(format!(
                "several runs have a model; name one with --model or --run: {}",
                several.join(", ")
            )))
        }
    }
}

/// The models of a run; only `model` if there is one of this name, because the others are
/// then earlier stages of its training.
fn models(entries: Vec<Entry>) -> Vec<PathBuf> {
    let models = entries.into_iter().filter(Entry::is_model);
    let models: Vec<PathBuf> = models.map(|entry| entry.path).collect();
    let last = models.iter().find(|path| name(path) == "model").cloned();
    last.map_or(models, |last| vec![last])
}
