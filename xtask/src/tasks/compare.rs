//! `cargo xtask compare`: the parameters and scores of several runs, side by side, and whether
//! two can be told apart.

use super::{print, print_json, report};
use crate::child;
use crate::evaluations::Evaluation;
use crate::folders::{folders, name};
use crate::metrics;
use crate::programs::Programs;
use crate::runs::find;
use crate::workspace::{Workspace, shown};
use attend_program::table::Align::{Left, Right};
use attend_program::table::Table;
use attend_program::{At, Error, Result, say};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask compare`.
#[derive(clap::Args)]
pub struct Args {
    /// Runs: names in the artifacts folder, or folders
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    runs: Vec<String>,
    /// Also show the parameters that are the same in all runs
    #[arg(long)]
    all: bool,
    /// Print JSON: {run: {row: value}}
    #[arg(long)]
    json: bool,
    /// Put a report of the first of two runs against the second into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// One run: its parameters and scores, by name. The parameters are those of the artifacts
/// that the scores come from, even if some of them have been made again since.
struct Column {
    name: String,
    parameters: Map<String, Value>,
    scores: Map<String, Value>,
}

/// Prints the table of all runs, with scores times 100 as `evaluate` prints them, or JSON.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.html.is_some() && args.runs.len() != 2 {
        return Err(Error::usage("--html compares two runs"));
    }
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let columns: Vec<Column> = (args.runs.iter())
        .map(|run| Column::read(&artifacts, run))
        .collect::<Result<_>>()?;
    if args.json {
        let object: Map<String, Value> = (columns.into_iter())
            .map(|column| {
                let rows = column.parameters.into_iter().chain(column.scores);
                (column.name, Value::Object(rows.collect()))
            })
            .collect();
        return print_json(Value::Object(object));
    }
    let mut table = Table::new([vec![Left], vec![Right; columns.len()]].concat());
    table.row(row("", columns.iter().map(|column| column.name.clone())));
    for row in rows(&columns, |column| &column.parameters, cell, !args.all) {
        table.row(row);
    }
    table.row([""; 0]);
    for row in rows(&columns, |column| &column.scores, score, false) {
        table.row(row);
    }
    print(table)?;
    match &args.runs[..] {
        [first, second] => pair(workspace, &artifacts, [first, second], args.html.as_deref()),
        _ => Ok(()),
    }
}

/// Says of two runs that were evaluated on the same images whether they can be told apart, and
/// makes the report.
fn pair(
    workspace: &Workspace,
    artifacts: &Path,
    runs: [&String; 2],
    html: Option<&Path>,
) -> Result<()> {
    let found = runs.map(|run| Evaluation::find(artifacts, run, None));
    let [first, second] = match found {
        [Ok(first), Ok(second)] => [first, second],
        // Runs are compared at any state; only the report needs both.
        [Err(why), _] | [_, Err(why)] => return html.map_or(Ok(()), |_| Err(why)),
    };
    if !first.is_like(&second) {
        say!("the two were evaluated on other images, so that they can't be compared pair by pair");
        return Ok(());
    }
    let programs = Programs::prepare(workspace, ["attend-report"], None)?;
    let mut command = programs.command(&["attend-report".to_owned(), "compare".to_owned()])?;
    command.args([&first.folder, &second.folder, &first.dataset]);
    command.args(["--names", &first.name, &second.name]);
    print("")?;
    child::run_ok(&mut command)?;
    html.map_or(Ok(()), |folder| {
        report::make(workspace, &first, Some(&second), folder, None)
    })
}

impl Column {
    fn read(artifacts: &Path, run: &str) -> Result<Column> {
        let folder = find(artifacts, run)?;
        let mut column = Column {
            name: name(&folder),
            parameters: Map::new(),
            scores: Map::new(),
        };
        let mut made: Vec<Made> = Vec::new();
        for artifact in folders(&folder)? {
            let manifest = artifact.join("manifest.json");
            if artifact.extension().is_none() && manifest.is_file() {
                let manifest = read(&manifest)?;
                made.push(Made {
                    folder: artifact,
                    manifest,
                });
            }
        }
        let all = |is_it: &dyn Fn(&Made) -> bool| -> Vec<&Made> {
            made.iter().filter(|made| is_it(made)).collect()
        };
        let evaluations = all(&|made| made.kind() == "evaluation");
        let models = all(&|made| made.kind() == "model" && name(&made.folder) == "model");
        let from = match (evaluations.is_empty(), models.is_empty()) {
            (false, _) => evaluations,
            (_, false) => models,
            _ => all(&|_| true),
        };
        let used = used(&column.name, &from, &made);
        for artifact in made.iter().filter(|artifact| used.contains(artifact)) {
            column.take(artifact)?;
        }
        match made.is_empty() {
            true => Err(Error::usage(format!(
                "{}: has no artifacts",
                shown(&folder)
            ))),
            false => Ok(column),
        }
    }

    /// Takes the parameters of an artifact, and its scores if it has any.
    fn take(&mut self, Made { folder, manifest }: &Made) -> Result<()> {
        let kind = manifest["kind"].as_str().unwrap_or_default();
        // An earlier stage of the model's training has parameters of its own.
        let prefix = match (kind, name(folder).as_str()) {
            ("model", name) if name != "model" => format!("{name}: "),
            _ => String::new(),
        };
        flatten(&prefix, &manifest["config"], &mut self.parameters);
        if kind == "model" {
            flatten(&prefix, &manifest["counts"], &mut self.scores);
            let metric = manifest["config"]["train"]["stop_metric"].as_str();
            self.validation(&prefix, folder, metric.unwrap_or("cider"))?;
        }
        let scores = folder.join("scores.json");
        if kind == "evaluation" && scores.is_file() {
            let scores = read(&scores)?;
            let split = scores["split"].as_str().unwrap_or_default().to_owned();
            for (beam, of_beam) in scores["beams"].as_object().into_iter().flatten() {
                let prefix = format!("{split}, beam {beam}: ");
                flatten(&prefix, of_beam, &mut self.scores);
            }
            flatten("grounding.", &scores["grounding"], &mut self.scores);
        }
        Ok(())
    }

    /// Takes the best validation score of all epochs, and its epoch.
    fn validation(&mut self, prefix: &str, model: &Path, metric: &str) -> Result<()> {
        if let Some(best) = metrics::best(model, metric)? {
            let name = format!("{prefix}{}, best {metric}", best.split);
            self.scores.insert(name, best.score(metric).into());
            (self.scores).insert(format!("{prefix}best epoch"), best.epoch.into());
        }
        Ok(())
    }
}

/// An artifact of the run.
#[derive(PartialEq)]
struct Made {
    folder: PathBuf,
    manifest: Value,
}

impl Made {
    fn kind(&self) -> &str {
        self.manifest["kind"].as_str().unwrap_or_default()
    }
}

/// `from`, and those of `made` that they were made from, found by digest. Logs the inputs
/// that are gone because others have replaced them.
fn used<'a>(run: &str, from: &[&'a Made], made: &'a [Made]) -> Vec<&'a Made> {
    let mut used = from.to_vec();
    let mut gone = Vec::new();
    let mut next = 0;
    while let Some(artifact) = used.get(next).copied() {
        next += 1;
        let inputs = artifact.manifest["inputs"].as_object();
        for (name, input) in inputs.into_iter().flatten() {
            let is_it = |made: &&Made| made.manifest["digest"] == input["digest"];
            match made.iter().find(is_it) {
                Some(input) if !used.contains(&input) => used.push(input),
                Some(_) => {}
                None if input["kind"] == *name && !gone.contains(&input) => gone.push(input),
                None => {}
            }
        }
    }
    let replaced = |input: &&&Value| made.iter().any(|made| input["kind"] == *made.kind());
    for input in gone.iter().filter(replaced) {
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let digest = text("digest");
        say!(
            "{run}: the scores come from a {} ({}) that has been replaced since, so its parameters are not shown",
            text("kind"),
            digest.get(..12).unwrap_or(digest)
        );
    }
    used
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).at(path)?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::refused(format!("{}: {e}; make it again", path.display())))
}

/// Inserts all values that are not objects, by their dotted names.
fn flatten(prefix: &str, value: &Value, into: &mut Map<String, Value>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match value.is_object() {
            true => flatten(&format!("{prefix}{key}."), value, into),
            false => drop(into.insert(format!("{prefix}{key}"), value.clone())),
        }
    }
}

/// A row for each name, in the order in which the runs have them.
fn rows(
    columns: &[Column],
    part: impl Fn(&Column) -> &Map<String, Value>,
    cell: impl Fn(&str, Option<&Value>) -> String,
    only_different: bool,
) -> Vec<Vec<String>> {
    let mut names: Vec<&String> = Vec::new();
    for name in columns.iter().flat_map(|column| part(column).keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let values = |name: &str| {
        columns
            .iter()
            .map(|column| part(column).get(name))
            .collect::<Vec<_>>()
    };
    names
        .into_iter()
        .filter(|name| !only_different || values(name).windows(2).any(|pair| pair[0] != pair[1]))
        .map(|name| {
            let cells = values(name).into_iter().map(|value| cell(name, value));
            row(name, cells)
        })
        .collect()
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    [name.to_owned()].into_iter().chain(cells).collect()
}

/// A score times 100. The ratio of attention inside a box to chance stays as it is.
fn score(name: &str, value: Option<&Value>) -> String {
    let number = value.filter(|value| value.is_f64());
    match number.and_then(Value::as_f64) {
        Some(number) if !name.ends_with(".ratio") => format!("{:.2}", 100.0 * number),
        _ => cell(name, value),
    }
}

fn cell(_: &str, value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            let whole = number.to_string();
            match number.abs() {
                0.1..1000.0 => format!("{number:.4}"),
                // Parameters such as 0.00025, as they were given.
                _ if whole.len() <= 8 => whole,
                0.001..0.1 => format!("{number:.4}"),
                _ => format!("{number:.3e}"),
            }
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(path: &Path, text: &Value) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.to_string()).unwrap();
    }

    fn example(folder: &Path, lr: f64, cider: f64) -> Column {
        let model = folder.join("model");
        let config = json!({"train": {"decoder_lr": lr, "batch": 32, "stop_metric": "cider"}});
        let counts = json!({"epochs": 2});
        let inputs = json!({"vocabulary": {"kind": "vocabulary", "digest": "v1"}});
        let manifest = json!({"kind": "model", "digest": "m1", "config": config, "counts": counts, "inputs": inputs});
        write(&model.join("manifest.json"), &manifest);
        let line = |epoch: u64, cider: f64| json!({"epoch": epoch, "split": "val", "cider": cider});
        let lines = format!("{}\n{}\n", line(0, cider), line(1, 0.25));
        std::fs::write(model.join("metrics.jsonl"), lines).unwrap();
        let evaluation = folder.join("evaluation");
        write(
            &evaluation.join("manifest.json"),
            &json!({"kind": "evaluation", "digest": "e1", "config": {}, "inputs": {"model": {"kind": "model", "digest": "m1"}}}),
        );
        let scores = json!({"split": "test", "beams": {"3": {"bleu4": 0.5}}});
        write(&evaluation.join("scores.json"), &scores);
        vocabulary(folder, "v1", 5);
        column(folder)
    }

    fn vocabulary(folder: &Path, digest: &str, min_count: u64) {
        let config = json!({"vocab": {"min_count": min_count}});
        let manifest = json!({"kind": "vocabulary", "digest": digest, "config": config});
        write(&folder.join("vocabulary/manifest.json"), &manifest);
    }

    fn column(folder: &Path) -> Column {
        Column::read(Path::new("/none"), folder.to_str().unwrap()).unwrap()
    }

    #[test]
    fn parameters_are_those_that_the_scores_come_from() {
        let folder = tempfile::tempdir().unwrap();
        let min_count = |column: &Column| column.parameters.get("vocab.min_count").cloned();
        assert_eq!(
            min_count(&example(folder.path(), 0.1, 0.75)),
            Some(json!(5))
        );
        // The vocabulary is made again; the model still comes from the old one.
        vocabulary(folder.path(), "v2", 1);
        let old = column(folder.path());
        assert_eq!(min_count(&old), None);
        assert_eq!(old.parameters["train.batch"], 32);
        assert!(old.scores.contains_key("test, beam 3: bleu4"));
        // The same with a model that was trained again but not evaluated.
        let model = folder.path().join("model/manifest.json");
        let again = std::fs::read_to_string(&model).unwrap();
        std::fs::write(&model, again.replace("m1", "m2").replace("32", "64")).unwrap();
        let scores = column(folder.path());
        assert_eq!(scores.parameters.get("train.batch"), None);
        assert!(scores.scores.contains_key("test, beam 3: bleu4"));
        assert!(!scores.scores.contains_key("best epoch"));
    }

    #[test]
    fn numbers_are_for_people() {
        let number = |number: f64| cell("", Some(&json!(number)));
        assert_eq!(number(0.0000000011136389078775627), "1.114e-9");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(0.00025), "0.00025");
        assert_eq!(number(0.875), "0.8750");
        assert_eq!(number(0.012_345_678_9), "0.0123");
        assert_eq!(number(5000.0), "5000");
    }

    #[test]
    fn what_differs_and_what_came_out() {
        let folder = tempfile::tempdir().unwrap();
        let columns = [
            example(&folder.path().join("a"), 0.1, 0.75),
            example(&folder.path().join("b"), 0.2, 0.5),
        ];
        let different = rows(&columns, |column| &column.parameters, cell, true);
        assert_eq!(different, [["train.decoder_lr", "0.1000", "0.2000"]]);
        assert_eq!(columns[0].parameters.len(), 4);
        let scores = rows(&columns, |column| &column.scores, score, false);
        assert_eq!(score("grounding.ratio", Some(&json!(8.75))), "8.7500");
        let expected = [
            ["epochs", "2", "2"],
            ["val, best cider", "75.00", "50.00"],
            ["best epoch", "1", "1"],
            ["test, beam 3: bleu4", "50.00", "50.00"],
        ];
        assert!(
            expected
                .iter()
                .all(|row| scores.iter().any(|found| found == row)),
            "{scores:?}"
        );
    }

    #[test]
    fn what_is_no_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Column::read(folder.path(), "nothing").err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("cargo xtask status"));
    }
}
