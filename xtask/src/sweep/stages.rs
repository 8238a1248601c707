//! The stages of a pipeline that a sweep tells apart, and what their artifacts say of a run.

use super::grid::Tried;
use super::table::Score;
use crate::metrics;
use crate::prepared::Prepared;
use crate::store::{Manifest, Request};
use crate::time::seconds_of;
use crate::workspace::shown;
use attend_program::{At, Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Indices of stages in the pipeline.
#[derive(Clone, Copy)]
pub struct Stages {
    /// Makes the model.
    pub model: usize,
    /// Describes the test split.
    pub evaluate: Option<usize>,
    /// Describes the validation split, if that chooses.
    pub validate: Option<usize>,
}

/// The stage that describes the validation split, the section that lies over `[evaluate]` for
/// it, and the folder in the run that it makes.
const VALIDATE: [&str; 3] = ["validate", "validate", "validation"];

impl Stages {
    /// Finds the stages, and adds the one that describes the validation split if that is to
    /// choose: it is asked for, or the training doesn't read one of the keys.
    ///
    /// # Errors
    /// [`Error::Usage`] if nothing could choose.
    pub fn of(base: &mut Prepared, tried: &[Tried], asked: bool) -> Result<Stages> {
        let [name, section, output] = VALIDATE;
        let stages = &mut base.plan.stages;
        // A run of an earlier sweep may have it already.
        let known = stages.iter().position(|(stage, _)| stage.output == output);
        let last = |kind| {
            let is_it = |index: &usize| stages[*index].1.output == kind && Some(*index) != known;
            (0..stages.len()).rfind(is_it)
        };
        let model = last("model").ok_or_else(|| {
            Error::usage("this pipeline makes no model, so that nothing could choose")
        })?;
        let evaluate = last("evaluation").filter(|evaluate| *evaluate > model);
        let is_trained_with = |section: &str| {
            stages.iter().take(model + 1).any(|(stage, description)| {
                let overlays = stage.sections.values();
                let mut sections = description.parameters.keys().chain(overlays);
                sections.any(|name| name == section)
            })
        };
        let mut sections = tried.iter().filter_map(|one| one.key.split('.').next());
        let validate = match asked || !sections.all(is_trained_with) {
            false => None,
            true => Some(known.unwrap_or(stages.len())),
        };
        if validate == Some(stages.len()) {
            let of_test = evaluate.map(|index| stages[index].clone());
            let (mut stage, description) = of_test.ok_or_else(|| {
                Error::usage("this pipeline has no stage that evaluates its model")
            })?;
            stage
                .sections
                .insert("evaluate".to_owned(), section.to_owned());
            (stage.name, stage.output) = (name.to_owned(), output.to_owned());
            stages.push((stage, description));
        }
        Ok(Stages {
            model,
            evaluate,
            validate,
        })
    }

    /// Tells the stage that describes the validation split which split that is.
    pub fn name_split(self, run: &mut Prepared) {
        if self.validate.is_some() {
            let split = self.split(run).into();
            let keys = toml::Table::from_iter([("split".to_owned(), split)]);
            let section = VALIDATE[1].to_owned();
            run.plan.given.insert(section, keys.into());
        }
    }

    /// The validation split.
    fn split(self, run: &Prepared) -> String {
        let parameters = run.plan.parameters(self.model);
        let split = parameters
            .get("train")
            .and_then(|keys| keys.get("validation_split"));
        split
            .and_then(toml::Value::as_str)
            .unwrap_or("val")
            .to_owned()
    }

    /// The stages that each run needs.
    pub fn wanted(self) -> Vec<usize> {
        (0..=self.model).chain(self.validate).collect()
    }

    /// The stages that describe the test split.
    pub fn after_model(self) -> Vec<usize> {
        let after = self
            .evaluate
            .into_iter()
            .flat_map(|last| self.model + 1..=last);
        after
            .filter(|index| Some(*index) != self.validate)
            .collect()
    }

    /// The stages that a run would make: those whose artifacts are neither there nor among
    /// those that earlier runs would make. `made` names these by what is asked for.
    pub fn to_make(self, run: &Prepared, made: &mut BTreeSet<String>) -> Vec<String> {
        let mut digests: BTreeMap<&str, String> = BTreeMap::new();
        let mut new = Vec::new();
        let steps = run.plan.steps();
        for index in self.wanted() {
            let (stage, description) = &run.plan.stages[index];
            let inputs = stage.inputs.iter().map(|(kind, folder)| {
                let digest = digests.get(folder.as_str()).cloned();
                (kind.clone(), digest.unwrap_or_default())
            });
            let parameters = run.plan.parameters(index);
            let asked = Request::new(description, &parameters, inputs.collect()).name();
            let step = &steps[index];
            let there = step.digest.clone().filter(|_| step.state.is_there());
            if there.is_none() && made.insert(asked.clone()) {
                new.push(stage.name.clone());
            }
            // Until it is made, what is asked for stands for its digest.
            digests.insert(&stage.output, there.unwrap_or(asked));
        }
        new
    }

    /// Which score it is, for people.
    pub fn title(self, run: &Prepared, by: &str) -> String {
        let beam = self
            .beam(run)
            .map_or_else(String::new, |beam| format!(", beam {beam}"));
        format!("{} {by}{beam}", self.split(run))
    }

    /// The beam size whose scores choose, if an evaluation does.
    fn beam(self, run: &Prepared) -> Option<String> {
        let parameters = run.plan.parameters(self.validate?);
        Some(parameters.get("evaluate")?.get("primary_beam")?.to_string())
    }

    /// Refuses a score that a run will not have.
    pub fn check_score(self, run: &Prepared, by: &str) -> Result<()> {
        let parameters = run.plan.parameters(self.validate.unwrap_or(self.model));
        let value = |section: &str, key: &str| parameters.get(section)?.get(key);
        let is_among = |names: &toml::Value| {
            let mut names = names.as_array().into_iter().flatten();
            names.any(|name| name.as_str().is_some_and(|name| by.starts_with(name)))
        };
        let why = match self.validate {
            None if by == "meteor"
                && value("train", "stop_metric")
                    .is_some_and(|metric| metric.as_str() != Some(by)) =>
            {
                "the training scores it only if it is train.stop_metric; --evaluate scores it after the training"
            }
            Some(_) if value("evaluate", "metrics").is_some_and(|names| !is_among(names)) => {
                "evaluate.metrics leaves it out"
            }
            _ => return Ok(()),
        };
        Err(Error::usage(format!("--by {by}: {why}")))
    }

    /// What a finished run has reached on the validation split.
    pub fn score(self, run: &Prepared, by: &str) -> Result<Score> {
        let path = |index: usize| run.plan.run.path(&run.plan.stages[index].0.output);
        let model = path(self.model);
        let parameters = run.plan.parameters(self.model);
        let metric = parameters
            .get("train")
            .and_then(|keys| keys.get("stop_metric"));
        let metric = metric.and_then(toml::Value::as_str).unwrap_or(by);
        let best = match metrics::best(&model, metric)? {
            Some(best) => Some(best),
            None => metrics::best(&model, by)?,
        };
        let value = match self.validate {
            None => best.as_ref().and_then(|best| best.score(by)),
            Some(index) => {
                let beam = self.beam(run).unwrap_or_default();
                read(&path(index))?["beams"][beam][by].as_f64()
            }
        };
        let value = value.ok_or_else(|| {
            let place = shown(&self.validate.map_or(model.clone(), path));
            Error::usage(format!(
                "{place} has no score {by}; choose by another (--by)"
            ))
        })?;
        let manifest = Manifest::read(&model).and_then(Result::ok);
        let places = [Some(self.model), self.validate].into_iter().flatten();
        Ok(Score {
            value,
            best_epoch: best.map(|best| best.epoch),
            epochs: manifest.and_then(|manifest| manifest.counts.get("epochs").copied()),
            seconds: places.filter_map(|index| seconds_of(&path(index))).sum(),
        })
    }

    /// Why a run failed: the error, or the one that its stage has left in its log.
    pub fn reason(self, run: &Prepared, error: &Error) -> String {
        let Error::Reported(code) = error else {
            return error.to_string();
        };
        let mut steps = run.plan.steps().into_iter();
        let failed =
            steps.find(|step| self.wanted().contains(&step.index) && !step.state.is_there());
        let name = failed.map_or("", |step| &run.plan.stages[step.index].0.name);
        let log = run.plan.run.folder.join(format!("logs/{name}.log"));
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let told = log
            .lines()
            .rev()
            .find_map(|line| line.split_once("error: "));
        match told {
            Some((_, why)) => format!("{name}: {why}"),
            None => format!("{name} ended with exit code {code}"),
        }
    }
}

/// The scores of an evaluation.
pub fn read(evaluation: &Path) -> Result<Value> {
    let path = evaluation.join("scores.json");
    let text = std::fs::read(&path).at(&path)?;
    serde_json::from_slice(&text).at(&path)
}
