//! `cargo xtask status`: the state of every stage of every run, and why it would run.

use super::{print, print_json};
use crate::config::Config;
use crate::folders::{name, size};
use crate::parameters::schema;
use crate::pipeline::Pipeline;
use crate::plan::{Plan, Step};
use crate::prepared::described;
use crate::programs::Programs;
use crate::run::{CONFIG, PIPELINE, Run};
use crate::runs::{Entry, FolderState, entries};
use crate::store::{Manifest, State, Store, needed, staging, unneeded};
use crate::time::spent;
use crate::workspace::{Workspace, shown};
use attend_program::Result;
use attend_program::table::Align::{Left, Right};
use attend_program::table::Table;
use attend_program::text::escaped;
use attend_program::text::human;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask status`.
#[derive(clap::Args)]
pub struct Args {
    /// Names of runs, or their folders [default: all]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Print JSON: {run: {folder, bytes, stages: […]}}
    #[arg(long)]
    json: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Prints a table for each run.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let mut folders = Vec::new();
    for run in &args.runs {
        folders.push(crate::runs::find(&artifacts, run)?);
    }
    if args.runs.is_empty() {
        folders = crate::folders::folders(&artifacts)?;
    }
    let programs = Programs::known(workspace);
    let mut known = BTreeMap::new();
    let mut all = Map::new();
    let mut shown_any = false;
    for folder in folders {
        let beside = folder.parent().unwrap_or(Path::new("")).to_owned();
        if !known.contains_key(&beside) {
            known.insert(beside.clone(), needed(&beside)?);
        }
        let report = Report::of(workspace, &programs, &folder, &known[&beside])?;
        if report.lines.is_empty() {
            continue;
        }
        shown_any = true;
        match args.json {
            true => drop(all.insert(name(&folder), report.json())),
            false => report.print()?,
        }
    }
    if args.json {
        return print_json(Value::Object(all));
    }
    if !shown_any {
        return print(format!("no runs in {}", shown(&artifacts)));
    }
    let unneeded = unneeded(&Store::of(&artifacts), &artifacts)?;
    if args.runs.is_empty() && !unneeded.is_empty() {
        let bytes = unneeded.iter().map(|one| one.bytes).sum();
        print(format!(
            "\n{} artifacts that no run needs ({}): `cargo xtask gc` deletes them",
            unneeded.len(),
            human(bytes)
        ))?;
    }
    Ok(())
}

/// A run, and a line for each of its stages.
struct Report {
    folder: PathBuf,
    pipeline: Option<String>,
    lines: Vec<Line>,
    /// Why the states could not be compared with the run's parameters.
    note: Option<String>,
}

struct Line {
    stage: String,
    state: &'static str,
    why: Vec<String>,
    digest: String,
    bytes: u64,
    took: Option<String>,
    counts: Map<String, Value>,
    place: Option<PathBuf>,
    shared: Vec<String>,
}

impl Report {
    fn of(
        workspace: &Workspace,
        programs: &Programs,
        folder: &Path,
        needed: &BTreeMap<PathBuf, BTreeSet<String>>,
    ) -> Result<Report> {
        let mut report = Report {
            folder: folder.to_owned(),
            pipeline: None,
            lines: Vec::new(),
            note: None,
        };
        match plan(workspace, programs, folder) {
            Ok(Some((pipeline, plan))) => {
                report.pipeline = Some(pipeline);
                for step in plan.steps() {
                    let place = step.place.clone();
                    let shared = place.and_then(|place| needed.get(&place).cloned());
                    let others = shared.unwrap_or_default().into_iter();
                    let others = others.filter(|run| *run != name(folder)).collect();
                    report.lines.push(Line::of_step(&plan, step, others));
                }
            }
            Ok(None) => report.lines = entries(folder)?.into_iter().map(Line::of_entry).collect(),
            Err(why) => {
                report.lines = entries(folder)?.into_iter().map(Line::of_entry).collect();
                report.note = Some(why.to_string());
            }
        }
        Ok(report)
    }

    fn bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.bytes).sum()
    }

    fn print(&self) -> Result<()> {
        let pipeline = self
            .pipeline
            .as_deref()
            .map_or(String::new(), |name| format!(", {name}"));
        print(format!(
            "{}  ({}{pipeline})",
            escaped(&name(&self.folder)),
            human(self.bytes())
        ))?;
        let mut table = Table::new([Left, Left, Left, Right, Right, Left]).indented();
        for line in &self.lines {
            let text = match line.why.is_empty() {
                true => line
                    .counts
                    .iter()
                    .map(|(what, n)| format!("{what} {n}"))
                    .collect::<Vec<_>>()
                    .join(", "),
                false => line.why.join("; "),
            };
            let size = if line.bytes > 0 {
                human(line.bytes)
            } else {
                String::new()
            };
            table.row([
                line.stage.clone(),
                line.state.to_owned(),
                line.digest.get(..12).unwrap_or(&line.digest).to_owned(),
                size,
                line.took.clone().unwrap_or_default(),
                text,
            ]);
        }
        print(super::fitted(&table.to_string()))?;
        match &self.note {
            Some(why) => print(format!("  without reasons: {why}")),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "stage": line.stage, "state": line.state, "why": line.why,
                "digest": line.digest, "bytes": line.bytes, "took": line.took,
                "counts": line.counts, "place": line.place, "shared_with": line.shared,
            })
        });
        json!({
            "folder": self.folder, "pipeline": self.pipeline, "bytes": self.bytes(),
            "stages": lines.collect::<Vec<_>>(), "note": self.note,
        })
    }
}

const GOES_ON: &str = "its stage will go on; `clean --staging RUN` deletes it";

impl Line {
    fn of_step(plan: &Plan, step: Step, shared: Vec<String>) -> Line {
        let (stage, _) = &plan.stages[step.index];
        // The artifact that is there, though it may be stale.
        let own = plan.run.place(&stage.output);
        let there = step.place.clone().filter(|place| place.exists()).or(own);
        let manifest = there.as_ref().and_then(|place| Manifest::read(place)?.ok());
        let begun = step.place.as_ref().map(|place| staging(place));
        let begun = begun.map_or(0, |path| size(&path));
        let bytes = there.as_ref().map_or(0, |place| size(place)) + begun;
        let manifest = manifest.unwrap_or_default();
        Line {
            stage: stage.name.clone(),
            state: step.state.word(),
            why: match step.state {
                State::Unfinished if step.why.is_empty() => vec![GOES_ON.to_owned()],
                _ => step.why,
            },
            digest: manifest.digest,
            bytes,
            took: there.as_ref().and_then(|place| spent(place)),
            counts: manifest
                .counts
                .into_iter()
                .map(|(name, n)| (name, n.into()))
                .collect(),
            place: there.or(step.place),
            shared,
        }
    }

    /// An artifact of a run whose stages or parameters are not known.
    fn of_entry(entry: Entry) -> Line {
        let (state, why, manifest) = match entry.state {
            FolderState::Done(manifest) => ("made", Vec::new(), *manifest),
            FolderState::Staging { busy: true } => {
                (State::Running.word(), Vec::new(), Manifest::default())
            }
            FolderState::Staging { busy: false } => {
                (State::Unfinished.word(), Vec::new(), Manifest::default())
            }
            FolderState::Damaged(why) => (State::Damaged.word(), vec![why], Manifest::default()),
        };
        Line {
            stage: name(&entry.path),
            state,
            why,
            digest: manifest.digest,
            bytes: entry.bytes,
            took: spent(&entry.place),
            counts: manifest
                .counts
                .into_iter()
                .map(|(name, n)| (name, n.into()))
                .collect(),
            place: Some(entry.place),
            shared: Vec::new(),
        }
    }
}

/// The plan of a run, from what is in its folder; `None` if it does not say how it was made.
///
/// # Errors
/// Why its stages can't be asked, or don't know its parameters any more.
fn plan(
    workspace: &Workspace,
    programs: &Programs,
    folder: &Path,
) -> Result<Option<(String, Plan)>> {
    let (pipeline, config) = (folder.join(PIPELINE), folder.join(CONFIG));
    if !pipeline.is_file() || !config.is_file() {
        return Ok(None);
    }
    let config = Config::read(&config, &[])?;
    let pipeline = Pipeline::load(workspace, &pipeline.to_string_lossy())?;
    let artifacts = folder.parent().unwrap_or(Path::new(""));
    let run = Run::of(artifacts, &name(folder));
    let stages = described(programs, &run, pipeline)?;
    let given = config.given(&schema(&stages)?)?;
    let named = config.pipeline()?;
    Ok(Some((named, Plan { run, stages, given })))
}
