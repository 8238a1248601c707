//! The jobs of a plan.

use super::job::{Job, Jobs};
use crate::folders::name;
use crate::pipeline::Stage;
use crate::plan::Plan;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::describe::Parts;
use attend_program::{At, Error, Result};
use std::path::{Path, PathBuf};

/// The jobs of the stages `to_make`. `arguments` are those that each `run` gets besides.
///
/// # Errors
/// [`Error::Internal`] of the system.
pub fn jobs(
    workspace: &Workspace,
    plan: &Plan,
    programs: &Programs,
    to_make: &[usize],
    arguments: &dyn Fn(&Stage) -> Vec<String>,
) -> Result<Jobs> {
    let stages = &plan.stages;
    let job = |index: &usize| {
        let (stage, description) = &stages[*index];
        let reads = |maker: &&Stage| stage.inputs.values().any(|input| *input == maker.output);
        let makers = to_make.iter().map(|other| &stages[*other].0);
        let mut resources = stage.resources.clone();
        if description.parts != Parts::Shards {
            resources.tasks = 0;
        }
        Job {
            stage: stage.name.clone(),
            after: makers
                .filter(reads)
                .map(|maker| maker.name.clone())
                .collect(),
            resources,
            arguments: arguments(stage),
        }
    };
    let folder = plan.run.folder.as_path();
    let absolute = |path: &Path| std::path::absolute(path).at(path);
    Ok(Jobs {
        run: name(folder),
        artifacts: absolute(folder.parent().unwrap_or(Path::new("")))?,
        program: std::env::current_exe().map_err(Error::internal)?,
        programs: folder_of(plan, programs),
        workspace: absolute(&workspace.root)?,
        here: std::env::current_dir().map_err(Error::internal)?,
        jobs: to_make.iter().map(job).collect(),
    })
}

/// The folder of the stages' programs.
fn folder_of(plan: &Plan, programs: &Programs) -> Option<PathBuf> {
    let commands = plan.stages.iter().map(|(stage, _)| &stage.command);
    let mut ours = commands.filter(|words| words.first().is_some_and(|p| !p.contains('/')));
    ours.find_map(|words| {
        let command = programs.command(words).ok()?;
        std::path::absolute(Path::new(command.get_program()).parent()?).ok()
    })
}

/// Checks that the artifacts of the stages `wanted` are there once their jobs have ended.
///
/// # Errors
/// [`Error::Internal`] naming one that is not.
pub fn ended(plan: &Plan, wanted: &[usize]) -> Result<()> {
    let mut steps = plan.steps().into_iter();
    let missing = steps.find(|step| wanted.contains(&step.index) && !step.state.is_there());
    missing.map_or(Ok(()), |step| {
        let (stage, _) = &plan.stages[step.index];
        let why = format!(
            "the jobs have ended, but {} is {}",
            stage.name,
            step.state.word()
        );
        Err(Error::internal(why))
    })
}
