//! Asks the stages that are to run, before the first one runs, whether they will have what
//! they need: variables, weights, splits, METEOR's data.

use crate::child;
use crate::plan::{Plan, Step};
use crate::programs::Programs;
use crate::workspace::shown;
use attend_program::describe::Checked;
use attend_program::{Error, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `--check` of the stages of `steps`, all at once, with the configs that `config`
/// returns, and compares the splits that they want with those that they will make.
///
/// # Errors
/// [`Error::Reported`] with the exit code of the first stage that refuses, which has said
/// why; [`Error::Input`] if a split is missing.
pub fn check(
    plan: &Plan,
    programs: &Programs,
    steps: &[&Step],
    config: impl Fn(usize) -> Result<std::path::PathBuf>,
) -> Result<()> {
    let mut children = Vec::new();
    for step in steps {
        let (stage, description) = &plan.stages[step.index];
        if !description.check {
            continue;
        }
        let mut command = programs.command(&stage.command)?;
        command
            .arg("--check")
            .arg("--config")
            .arg(config(step.index)?);
        for (kind, folder) in &stage.inputs {
            // An input that is to be made again is not what the stage will get.
            let maker = |step: &&&Step| plan.stages[step.index].0.output == *folder;
            let path = match steps.iter().any(|step| maker(&step)) {
                true => Path::new("/nonexistent").join(folder),
                false => plan.run.path(folder),
            };
            command
                .arg("--input")
                .arg(format!("{kind}={}", shown(&path)));
        }
        children.push((step.index, command));
    }
    let answers = ask_all(children)?;
    let splits = answers
        .iter()
        .find_map(|(_, checked)| checked.splits.as_ref());
    let Some(splits) = splits else { return Ok(()) };
    for (_, checked) in &answers {
        if let Some((name, split)) = checked
            .wants
            .iter()
            .find(|(_, split)| !splits.contains(split))
        {
            return Err(Error::input(format!(
                "{name} = {split:?}: the data set will have no image in this split; it will have {} (dataset.splits can call one so)",
                splits.join(", ")
            )));
        }
    }
    Ok(())
}

/// Runs all commands at once; each has said what it refuses.
fn ask_all(commands: Vec<(usize, Command)>) -> Result<Vec<(usize, Checked)>> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = commands
            .into_iter()
            .map(|(index, command)| {
                scope.spawn(move || ask(command).map(|checked| (index, checked)))
            })
            .collect();
        let answers = asked.into_iter().map(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err(Error::internal("asking a stage failed")))
        });
        answers.collect()
    })
}

fn ask(mut command: Command) -> Result<Checked> {
    let name = child::name(&command);
    let (status, text) = child::run_for_output(command.stdin(Stdio::null()))?;
    match status.code() {
        Some(0) => serde_json::from_str(&text)
            .map_err(|e| Error::usage(format!("{name} --check is not understood: {e}"))),
        Some(code) => Err(Error::Reported(u8::try_from(code).unwrap_or(1))),
        None => Err(Error::internal(format!(
            "{name} was ended from outside ({status})"
        ))),
    }
}
