//! Runs the stages of a plan: each when its inputs are there, and at the same time those
//! that don't wait for each other.

use crate::plan::{Digests, Plan, Step};
use attend_program::{Error, Result};
use std::sync::mpsc::channel;

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many stages may run at the same time.
    pub at_once: usize,
    /// Go on with the stages that don't need one that failed.
    pub keep_going: bool,
}

/// Runs the stages `wanted` (indices in the plan's order). `known` are the states of all
/// stages, looked at before: a hundred thousand photographs are not looked at twice.
/// `digests` has those of the other
/// stages' artifacts. For each stage whose inputs are there, `decide` says what to do with
/// it: `Ok(Some(digest))` if its artifact is up to date. For the others, `work` runs on a
/// thread and returns the digest; it gets whether the stage has the terminal for itself.
///
/// # Errors
/// That of the first stage that failed, after the running ones have ended.
pub fn run(
    plan: &Plan,
    wanted: &[usize],
    known: &[Step],
    mut digests: Digests,
    rules: Rules,
    decide: impl Fn(&Step) -> Result<Option<String>>,
    work: impl Fn(&Step, bool) -> Result<String> + Sync,
) -> Result<()> {
    let mut waiting: Vec<usize> = wanted.to_vec();
    let (mut running, mut failed) = (0, None);
    let (done, ends) = channel::<(usize, Result<String>)>();
    let work = &work;
    std::thread::scope(|scope| {
        loop {
            let mut starts = Vec::new();
            while running + starts.len() < rules.at_once.max(1)
                && (failed.is_none() || rules.keep_going)
                && let Some(position) = waiting.iter().position(|index| {
                    let inputs = plan.stages[*index].0.inputs.values();
                    let made_here = |folder: &&String| is_made(plan, wanted, folder);
                    inputs
                        .filter(made_here)
                        .all(|folder| digests.contains_key(folder))
                })
            {
                let index = waiting.remove(position);
                let step = match &known[index] {
                    known if plan.still_holds(known, &digests) => known.clone(),
                    _ => plan.step(index, &digests),
                };
                match decide(&step) {
                    Ok(Some(digest)) => {
                        digests.insert(plan.stages[index].0.output.clone(), digest);
                    }
                    Ok(None) => starts.push(step),
                    Err(error) => {
                        failed.get_or_insert(error);
                    }
                }
            }
            // Of those that start together the last one, in our pipelines the longest, has
            // the terminal with its bar.
            let last = starts.len().checked_sub(1).filter(|_| running == 0);
            running += starts.len();
            for (position, step) in starts.into_iter().enumerate() {
                let done = done.clone();
                let alone = Some(position) == last;
                scope.spawn(move || {
                    let made = work(&step, alone);
                    let _ = done.send((step.index, made));
                });
            }
            if running == 0 {
                break;
            }
            let Ok((index, made)) = ends.recv() else {
                break;
            };
            running -= 1;
            match made {
                Ok(digest) => {
                    digests.insert(plan.stages[index].0.output.clone(), digest);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
    });
    match failed {
        Some(error) => Err(error),
        None if waiting.is_empty() => Ok(()),
        None => Err(Error::internal(
            "stages wait for inputs that no stage makes",
        )),
    }
}

/// Whether one of the wanted stages makes this folder.
fn is_made(plan: &Plan, wanted: &[usize], folder: &str) -> bool {
    let mut outputs = wanted.iter().map(|index| &plan.stages[*index].0.output);
    outputs.any(|output| output == folder)
}
