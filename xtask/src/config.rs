//! The config file of a run: read once, checked against what all stages of the
//! pipeline say that they know, and handed to each as far as it concerns it.

use crate::error::{Error, Result};
use crate::parameters::{Schema, fits, known_key, known_section, typed};
use crate::workspace::shown;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A config file with the overrides of the command line.
pub struct Config {
    path: PathBuf,
    table: Table,
    /// (section, key) -> line; key is empty for a section itself.
    lines: BTreeMap<(String, String), usize>,
    overrides: Vec<Override>,
}

/// `--set section.key=value`.
struct Override {
    section: String,
    key: String,
    value: String,
}

impl Config {
    /// Reads a config file.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Config> {
        let (text, table) = attend_program::config::read(path).map_err(Error::usage)?;
        let overrides = overrides
            .iter()
            .map(|item| Override::parse(item))
            .collect::<Result<_>>()?;
        Ok(Config {
            path: path.to_owned(),
            table,
            lines: lines(&text),
            overrides,
        })
    }

    /// Name of the run: `run.name`, else the file's name.
    pub fn run_name(&self) -> Result<String> {
        let stem = self
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = self.run("name")?.unwrap_or(stem);
        if !crate::pipeline::is_plain(&name) {
            return Err(Error::usage(format!(
                "{}: run.name = {name:?} can't be the name of a folder: use letters, digits, - and _",
                shown(&self.path)
            )));
        }
        Ok(name)
    }

    /// The pipeline that the file is for, `captioning` if it doesn't say.
    pub fn pipeline(&self) -> Result<String> {
        Ok(self
            .run("pipeline")?
            .unwrap_or_else(|| "captioning".to_owned()))
    }

    fn run(&self, key: &str) -> Result<Option<String>> {
        if let Some(set) = self
            .overrides
            .iter()
            .rev()
            .find(|o| o.section == "run" && o.key == key)
        {
            return Ok(Some(set.value.clone()));
        }
        match self.table.get("run").and_then(|run| run.get(key)) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Error::usage(format!(
                "{}: run.{key} must be a string",
                self.place("run", key)
            ))),
        }
    }

    /// Checks every section and key of the file and of the command line, and
    /// returns what they say: the file's values, with the command line's in
    /// their place.
    pub fn given(&self, schema: &Schema) -> Result<Table> {
        for (section, content) in &self.table {
            let place = self.place(section, "");
            let known = known_section(schema, section)
                .map_err(|why| Error::usage(format!("{place}: {why}")))?;
            let content = content.as_table().ok_or_else(|| {
                Error::usage(format!(
                    "{place}: [{section}] must be a section, not a value"
                ))
            })?;
            for (key, value) in content {
                let fitting =
                    known_key(known, section, key).and_then(|default| fits(default, value));
                fitting
                    .map_err(|why| Error::usage(format!("{}: {why}", self.place(section, key))))?;
            }
        }
        let mut table = self.table.clone();
        for item in &self.overrides {
            let refuse = |why| {
                Error::usage(format!(
                    "--set {}.{}={}: {why}",
                    item.section, item.key, item.value
                ))
            };
            let known = known_section(schema, &item.section).map_err(refuse)?;
            let value = known_key(known, &item.section, &item.key)
                .and_then(|default| typed(default, &item.value))
                .map_err(refuse)?;
            let content = table
                .entry(item.section.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(content) = content {
                content.insert(item.key.clone(), value);
            }
        }
        Ok(table)
    }

    fn place(&self, section: &str, key: &str) -> String {
        let line = self.lines.get(&(section.to_owned(), key.to_owned()));
        line.map_or_else(
            || shown(&self.path),
            |line| format!("{}:{line}", shown(&self.path)),
        )
    }
}

impl Override {
    fn parse(item: &str) -> Result<Override> {
        let parts = item
            .split_once('=')
            .and_then(|(path, value)| Some((path.trim().split_once('.')?, value)));
        let ((section, key), value) = parts
            .ok_or_else(|| Error::usage(format!("--set {item}: expected section.key=value")))?;
        Ok(Override {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// The line of every section and key.
fn lines(text: &str) -> BTreeMap<(String, String), usize> {
    let line = |at: usize| {
        text.as_bytes()
            .iter()
            .take(at)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    };
    let mut lines = BTreeMap::new();
    let Ok(table) = toml::de::DeTable::parse(text) else {
        return lines;
    };
    for (section, content) in table.get_ref() {
        let name = section.get_ref().to_string();
        lines.insert((name.clone(), String::new()), line(section.span().start));
        for (key, _) in content.get_ref().as_table().into_iter().flatten() {
            lines.insert(
                (name.clone(), key.get_ref().to_string()),
                line(key.span().start),
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::effective;
    use serde_json::{Value as Json, json};

    fn schema() -> Schema {
        let section = |value: Json| {
            value
                .as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        Schema::from([
            (
                "run".to_owned(),
                section(json!({"name": "", "pipeline": ""})),
            ),
            (
                "train".to_owned(),
                section(
                    json!({"learning_rate": 4e-4, "batch": 32, "resume": true, "device": "cpu", "limit": null, "grid": [14, 14]}),
                ),
            ),
        ])
    }

    fn given(text: &str, set: &[&str]) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, format!("{text}\n#")).unwrap();
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        Config::read(&path, &set)?.given(&schema())
    }

    #[track_caller]
    fn refused(text: &str, set: &[&str], expected: &str) {
        let error = given(text, set).unwrap_err();
        assert_eq!(error.code, 2);
        assert!(
            error.message.ends_with(expected),
            "{} should end with {expected}",
            error.message
        );
    }

    #[test]
    fn a_stage_gets_its_own_keys_with_its_defaults() {
        let given = given(
            "[train]\nbatch = 80\nlimit = 5\n",
            &["train.learning_rate=1", "train.device=cuda:0"],
        )
        .unwrap();
        let stage = json!({"train": {"batch": 32, "device": "cpu", "learning_rate": 4e-4, "alpha_c": 1.0, "seed": null}, "own": {"x": [1]}});
        let table = effective(stage.as_object().unwrap(), &given, &BTreeMap::new());
        let expected = "[train]\nbatch = 80\ndevice = \"cuda:0\"\nlearning_rate = 1\nalpha_c = 1.0\n\n[own]\nx = [1]\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn what_is_to_be_a_string_needs_no_quotes() {
        let device = |text: &str| {
            given("", &[&format!("train.device={text}")]).unwrap()["train"]["device"].clone()
        };
        assert_eq!(device("cuda:0"), Value::String("cuda:0".into()));
        assert_eq!(device("5"), Value::String("5".into()));
        assert_eq!(device("\"a b\""), Value::String("a b".into()));
        assert_eq!(
            given("", &["train.grid=[7, 7]"]).unwrap()["train"]["grid"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    /// `dataset.objects` takes one string or several, `dataset.splits` a list or a table.
    #[test]
    fn a_key_may_take_more_than_its_default_shows() {
        let text = "[train]\ngrid = { dev = \"val\" }\ndevice = [\"a\", \"b\"]\n";
        let table = given(text, &["train.device=[\"c\"]", "train.batch=1"]).unwrap();
        assert_eq!(table["train"]["grid"]["dev"].as_str(), Some("val"));
        assert_eq!(table["train"]["device"].as_array().map(Vec::len), Some(1));
        assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
    }

    #[test]
    fn unknown_names_with_line_and_nearest() {
        refused(
            "# x\n\n[train]\nbatch = 1\nlerning_rate = 1.0\n",
            &[],
            "c.toml:5: [train] has no key `lerning_rate`; the nearest is `learning_rate`",
        );
        refused(
            "train.btch = 1\n",
            &[],
            "c.toml:1: [train] has no key `btch`; the nearest is `batch`",
        );
        refused(
            "\n[trian]\n",
            &[],
            "c.toml:2: no stage of this pipeline has a section [trian]; the nearest is [train]",
        );
        refused(
            "",
            &["train.bach=1"],
            "--set train.bach=1: [train] has no key `bach`; the nearest is `batch`",
        );
        refused("", &["train"], "--set train: expected section.key=value");
    }

    #[test]
    fn types_are_those_of_the_defaults() {
        refused(
            "[train]\nbatch = 1.5\n",
            &[],
            "c.toml:2: expected a whole number, not `1.5`",
        );
        refused(
            "[train]\ndevice = 3\n",
            &[],
            "c.toml:2: expected a string, not `3`",
        );
        refused(
            "",
            &["train.batch=many"],
            "--set train.batch=many: expected a whole number, not `\"many\"`",
        );
        refused(
            "",
            &["train.resume=1"],
            "--set train.resume=1: expected true or false, not `1`",
        );
        refused(
            "train = 3\n",
            &[],
            "c.toml:1: [train] must be a section, not a value",
        );
    }
}
