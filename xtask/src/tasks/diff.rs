//! `cargo xtask diff RUN RUN`: which artifacts of two runs differ, and why.

use super::{print, print_json};
use crate::folders::name;
use crate::run::{changed, files};
use crate::runs::{FolderState, entries, find};
use crate::store::{Manifest, Request};
use crate::workspace::Workspace;
use attend_program::Result;
use attend_program::table::Align::Left;
use attend_program::table::Table;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Command line of `cargo xtask diff`.
#[derive(clap::Args)]
pub struct Args {
    /// The older run: its name in the artifacts folder, or its folder
    #[arg(value_name = "RUN")]
    old: String,
    /// The newer run
    #[arg(value_name = "RUN")]
    new: String,
    /// Print JSON: {artifact: {same, why: […]}}
    #[arg(long)]
    json: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Prints a line for each artifact of the two runs.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let [old, new] = [&args.old, &args.new].map(|run| find(&artifacts, run).and_then(made));
    let (old, new) = (old?, new?);
    let added = new.keys().filter(|name| !old.contains_key(*name));
    let mut table = Table::new([Left, Left, Left]);
    let mut json = Map::new();
    for name in old.keys().chain(added) {
        let (state, why) = match (old.get(name), new.get(name)) {
            (Some(a), Some(b)) if a.digest == b.digest => ("same", vec![a.short().to_owned()]),
            (Some(a), Some(b)) => ("differs", changes(a, b, &old, &new)),
            (Some(_), None) => ("differs", vec![format!("{} has none", args.new)]),
            (None, _) => ("differs", vec![format!("{} has none", args.old)]),
        };
        table.row([name.clone(), state.to_owned(), why.join("; ")]);
        json.insert(name.clone(), json!({"same": state == "same", "why": why}));
    }
    match args.json {
        true => print_json(Value::Object(json)),
        false => print(table),
    }
}

/// The manifests of a run's finished artifacts, by name.
fn made(run: PathBuf) -> Result<BTreeMap<String, Manifest>> {
    let finished = entries(&run)?
        .into_iter()
        .filter_map(|entry| match entry.state {
            FolderState::Done(manifest) => Some((name(&entry.path), *manifest)),
            _ => None,
        });
    Ok(finished.collect())
}

/// How `b` differs from `a`, which are in the runs `old` and `new`.
fn changes(
    a: &Manifest,
    b: &Manifest,
    old: &BTreeMap<String, Manifest>,
    new: &BTreeMap<String, Manifest>,
) -> Vec<String> {
    let inputs = b.inputs.iter();
    let inputs = inputs.map(|(kind, input)| (kind.clone(), input.digest.clone()));
    let request = Request {
        kind: b.kind.clone(),
        producer: b.producer.clone(),
        config: b.config.clone(),
        paths: Value::Null,
        inputs: inputs.collect(),
    };
    let of = |manifest: &Manifest, run: &BTreeMap<String, Manifest>, kind: &str| {
        let digest = &manifest.inputs.get(kind)?.digest;
        run.values().find(|made| made.digest == *digest).map(files)
    };
    let input = |kind: &str| changed(&of(a, old, kind)?, &of(b, new, kind)?);
    let mut changes = request.changes(a, None, input);
    if changes.is_empty() {
        let how = changed(&files(a), &files(b));
        changes.push(format!(
            "made from the same parameters and inputs, but differs in {}",
            how.unwrap_or_else(|| "its counts".to_owned())
        ));
    }
    changes
}
