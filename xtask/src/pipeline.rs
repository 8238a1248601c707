//! Reads `pipelines/*.toml`: the stages, and which stage reads which output.

use crate::executor::Resources;
use crate::workspace::{Workspace, shown};
use attend_program::config::{self, nearest};
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A pipeline, with its stages in an order in which they can run.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The stages.
    #[serde(rename = "stage", default)]
    pub stages: Vec<Stage>,
}

/// A stage of a pipeline.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name in this pipeline.
    pub name: String,
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// Kind of artifact -> the folder within the run that holds it.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Section of the config -> its overlay: another section, whose values override those
    /// of the first one for this stage only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sections: BTreeMap<String, String>,
    /// The folder within the run that it makes.
    pub output: String,
    /// What it asks of a cluster.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resources: Resources,
}

fn is_default(resources: &Resources) -> bool {
    *resources == Resources::default()
}

impl Pipeline {
    /// Reads `pipelines/NAME.toml`, or the file `NAME` if it ends in `.toml`.
    pub fn load(workspace: &Workspace, name: &str) -> Result<Pipeline> {
        let folder = workspace.root.join("pipelines");
        let path = if name.ends_with(".toml") {
            PathBuf::from(name)
        } else {
            folder.join(format!("{name}.toml"))
        };
        let (text, _) = config::read(&path).map_err(|why| match path.exists() {
            true => why,
            false => Error::usage(format!(
                "pipeline {name}: {why}; there are: {}",
                names(&folder).join(", ")
            )),
        })?;
        Pipeline::parse(&text).map_err(|why| Error::usage(format!("{}: {why}", shown(&path))))
    }

    fn parse(text: &str) -> std::result::Result<Pipeline, String> {
        let pipeline: Pipeline =
            toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        pipeline.check()?;
        Ok(Pipeline {
            stages: sorted(pipeline.stages)?,
        })
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.stages.is_empty() {
            return Err("no [[stage]]".to_owned());
        }
        let outputs: Vec<&str> = self
            .stages
            .iter()
            .map(|stage| stage.output.as_str())
            .collect();
        let (mut names, mut made) = (BTreeSet::new(), BTreeSet::new());
        for stage in &self.stages {
            let name = &stage.name;
            if !names.insert(name) {
                return Err(format!("two stages are called {name}"));
            }
            if !made.insert(&stage.output) {
                return Err(format!("two stages make {}", stage.output));
            }
            if !is_plain(name) || !is_plain(&stage.output) {
                return Err(format!(
                    "stage {name}: name and output must be plain words, not paths"
                ));
            }
            let sections = stage.sections.iter();
            let mut sections = sections.flat_map(|(section, overlay)| [section, overlay]);
            if let Some(section) = sections.find(|section| !is_word(section)) {
                return Err(format!(
                    "stage {name}: section {section:?} must be a plain word"
                ));
            }
            if stage.command.first().is_none_or(String::is_empty) {
                return Err(format!("stage {name}: command is empty"));
            }
            if let Some(input) = stage
                .inputs
                .values()
                .find(|input| !outputs.contains(&input.as_str()))
            {
                let near = nearest(input, outputs.iter().copied());
                let near = near.map_or_else(String::new, |near| {
                    format!("; the nearest output is {near}")
                });
                return Err(format!(
                    "stage {name}: no stage makes its input {input}{near}"
                ));
            }
        }
        Ok(())
    }

    /// The last stage that makes one of `outputs`.
    pub fn last_that_makes(&self, outputs: &[&str]) -> Result<&str> {
        let found = self
            .stages
            .iter()
            .rev()
            .find(|stage| outputs.contains(&stage.output.as_str()));
        found
            .map(|stage| stage.name.as_str())
            .ok_or_else(|| Error::usage(format!("this pipeline makes no {}", outputs.join(" or "))))
    }

    /// Index of the stage called `name`.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.stages
            .iter()
            .position(|stage| stage.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self
                    .stages
                    .iter()
                    .map(|stage| stage.name.as_str())
                    .collect();
                Error::usage(format!(
                    "this pipeline has no stage {name}, only {}",
                    names.join(", ")
                ))
            })
    }
}

/// Whether a name is safe as the name of a folder: it can't lead to another place.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// Whether `--set NAME.key=value` can mean a section of this name.
fn is_word(name: &str) -> bool {
    is_plain(name) && !name.contains('.')
}

/// Sorts stages so that each comes after those whose outputs it reads; otherwise keeps
/// the order of the file.
fn sorted(mut waiting: Vec<Stage>) -> std::result::Result<Vec<Stage>, String> {
    let mut done: Vec<Stage> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|stage| {
            stage
                .inputs
                .values()
                .all(|input| done.iter().any(|d| d.output == *input))
        });
        match ready {
            Some(index) => done.push(waiting.remove(index)),
            None => {
                return Err(format!(
                    "the stages wait for each other: {}",
                    cycle(&waiting).join(" <- ")
                ));
            }
        }
    }
    Ok(done)
}

/// Names of the stages on a cycle among `waiting`, in which each stage reads an output of
/// another one.
fn cycle(waiting: &[Stage]) -> Vec<&str> {
    let mut path: Vec<&str> = Vec::new();
    let mut next = waiting.first();
    while let Some(stage) = next {
        if let Some(start) = path.iter().position(|name| *name == stage.name) {
            path.drain(..start);
            path.push(&stage.name);
            break;
        }
        path.push(&stage.name);
        next = waiting
            .iter()
            .find(|other| stage.inputs.values().any(|input| *input == other.output));
    }
    path
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut names: Vec<String> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .filter_map(|p| Some(p.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, inputs: &[&str]) -> String {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|i| format!("{i}-kind = \"{i}-out\""))
            .collect();
        format!(
            "[[stage]]\nname = \"{name}\"\ncommand = [\"p\"]\ninputs = {{ {} }}\noutput = \"{name}-out\"\n",
            inputs.join(", ")
        )
    }

    #[test]
    fn stages_run_after_what_they_read() {
        let text = [
            stage("c", &["b", "a"]),
            stage("a", &[]),
            stage("d", &[]),
            stage("b", &["a"]),
        ]
        .concat();
        let names: Vec<_> = Pipeline::parse(&text)
            .unwrap()
            .stages
            .into_iter()
            .map(|s| s.name)
            .collect();
        assert_eq!(names, ["a", "d", "b", "c"]);
    }

    #[test]
    fn sections_are_written_as_they_were_read() {
        let text = stage("a", &[]) + &stage("b", &["a"]) + "sections = { x = \"y\" }\n";
        let pipeline = Pipeline::parse(&text).unwrap();
        assert!(pipeline.stages[0].sections.is_empty());
        assert_eq!(pipeline.stages[1].sections["x"], "y");
        let written = toml::to_string(&pipeline).unwrap();
        assert_eq!(written.matches("sections").count(), 1, "{written}");
        let again = Pipeline::parse(&written).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), written);
    }

    #[test]
    fn a_cycle_is_named_without_those_that_only_wait_for_it() {
        let text = [
            stage("z", &["a"]),
            stage("a", &["b"]),
            stage("b", &["c"]),
            stage("c", &["a"]),
        ]
        .concat();
        assert_eq!(
            Pipeline::parse(&text).unwrap_err(),
            "the stages wait for each other: a <- b <- c <- a"
        );
    }

    #[test]
    fn faults_are_named() {
        let fault = |text: &str| Pipeline::parse(text).unwrap_err();
        assert_eq!(fault(""), "no [[stage]]");
        assert_eq!(
            fault(&[stage("a", &[]), stage("b", &["aa"])].concat()),
            "stage b: no stage makes its input aa-out; the nearest output is a-out"
        );
        assert_eq!(
            fault(&[stage("a", &[]), stage("a", &[])].concat()),
            "two stages are called a"
        );
        assert!(fault(&stage("../up", &[])).contains("plain words"));
        assert_eq!(
            fault(&(stage("a", &[]) + "sections = { train = \"fine.tune\" }\n")),
            "stage a: section \"fine.tune\" must be a plain word"
        );
        assert!(
            fault("[[stage]]\nname = \"a\"\ncommnd = [\"p\"]\noutput = \"o\"\n").contains("line 3")
        );
    }
}
