//! What a run has to make, and why: found out before any stage starts.

use crate::parameters::effective;
use crate::pipeline::Stage;
use crate::run::{self, Run};
use crate::store::{Manifest, Request, State, adopt, look};
use attend_program::Result;
use attend_program::describe::Description;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Table;

/// A run, its stages in the order of the pipeline, and the parameters that it is given.
pub struct Plan {
    /// The run's folder.
    pub run: Run,
    /// The stages.
    pub stages: Vec<(Stage, Description)>,
    /// The given parameters.
    pub given: Table,
}

/// A stage, and the state of its artifact.
#[derive(Clone, Debug)]
pub struct Step {
    /// The stage's index.
    pub index: usize,
    /// What is asked of it; `None` while an input has to be made first.
    pub request: Option<Request>,
    /// The place of its artifact, if it is known.
    pub place: Option<PathBuf>,
    /// The state of its artifact.
    pub state: State,
    /// The reasons, if it is to be made.
    pub why: Vec<String>,
    /// The digest of the artifact that is there.
    pub digest: Option<String>,
}

/// The digests of the artifacts that are there, by output.
pub type Digests = BTreeMap<String, String>;

impl Plan {
    /// The parameters of a stage.
    pub fn parameters(&self, index: usize) -> Table {
        let (stage, description) = &self.stages[index];
        effective(&description.parameters, &self.given, &stage.sections)
    }

    /// The states of all stages, none of which is running yet. A damaged artifact will be as it
    /// was once it is made again: its parameters and inputs are the same.
    pub fn steps(&self) -> Vec<Step> {
        let mut digests = Digests::new();
        let steps = (0..self.stages.len()).map(|index| {
            let step = self.step(index, &digests);
            let will_be = step.state.is_there() || step.state == State::Damaged;
            if let (true, Some(digest)) = (will_be, &step.digest) {
                digests.insert(self.stages[index].0.output.clone(), digest.clone());
            }
            step
        });
        steps.collect()
    }

    /// The state of a stage, given the digests of the artifacts before it.
    pub fn step(&self, index: usize, digests: &Digests) -> Step {
        let (stage, description) = &self.stages[index];
        let parameters = self.parameters(index);
        let before = self.run.place(&stage.output);
        let mut step = Step {
            index,
            request: None,
            place: None,
            state: State::Missing,
            why: Vec::new(),
            digest: None,
        };
        let Some(inputs) = inputs(stage, digests) else {
            if before.is_some_and(|place| place.join("manifest.json").is_file()) {
                step.state = State::Stale;
            }
            let waits = stage
                .inputs
                .values()
                .filter(|folder| !digests.contains_key(*folder));
            step.why = waits
                .map(|folder| format!("input {folder} is to be made first"))
                .collect();
            return step;
        };
        let request = Request::new(description, &parameters, inputs);
        let elsewhere = before
            .clone()
            .filter(|_| self.run.is_elsewhere(&stage.output));
        let is_elsewhere = elsewhere.is_some();
        let place = elsewhere.unwrap_or_else(|| self.run.store.place(&request));
        (step.state, step.why) = look(&place);
        if is_elsewhere && step.state == State::Fresh {
            step.state = State::Unsure; // its place does not stand for its parameters
        }
        if let Some(before) = before.filter(|before| *before != place)
            && matches!(step.state, State::Missing | State::Unfinished)
            && let Some(Ok(manifest)) = Manifest::read(&before)
        {
            step.why = self.changes(index, &request, &manifest);
            if step.state == State::Missing {
                step.state = State::Stale;
            }
        }
        let manifest = Manifest::read(&place).and_then(Result::ok);
        step.digest = manifest.map(|manifest| manifest.digest);
        step.place = Some(place);
        step.request = Some(request);
        step
    }

    /// Whether a stage that was up to date is so with these digests of its inputs, too.
    pub fn still_holds(&self, step: &Step, digests: &Digests) -> bool {
        let now = inputs(&self.stages[step.index].0, digests);
        let then = step.request.as_ref().map(|request| &request.inputs);
        step.state == State::Fresh && now.is_some() && now.as_ref() == then
    }

    /// How a request differs from that of the artifact that the run has.
    fn changes(&self, index: usize, request: &Request, old: &Manifest) -> Vec<String> {
        let (stage, description) = &self.stages[index];
        let paths = self
            .made_with(stage, false)
            .map(|made_with| Request::new(description, &made_with, BTreeMap::new()).paths);
        let files = self.run.inputs(&stage.name);
        let input = |kind: &str| {
            let folder = self.run.place(stage.inputs.get(kind)?)?;
            let now = run::files(&Manifest::read(&folder)?.ok()?);
            run::changed(files.get(kind)?, &now)
        };
        request.changes(old, paths.as_ref(), input)
    }

    /// The parameters that made the artifact of a stage, or those of the one that was begun.
    fn made_with(&self, stage: &Stage, begun: bool) -> Option<Table> {
        let ends: &[&str] = if begun {
            &[".next.toml", ".toml"]
        } else {
            &[".toml"]
        };
        let mut texts = ends
            .iter()
            .filter_map(|end| std::fs::read_to_string(self.run.config(&stage.name, end)).ok());
        texts.next()?.parse().ok()
    }

    /// Moves artifacts that lie in the run's folder itself to the store.
    ///
    /// # Errors
    /// Those of [`adopt`].
    pub fn adopt(&self) -> Result<()> {
        for (index, (stage, description)) in self.stages.iter().enumerate() {
            let request = |manifest: &Manifest, begun: bool| {
                let parameters = self.made_with(stage, begun);
                let parameters = parameters.unwrap_or_else(|| self.parameters(index));
                let inputs = manifest.inputs.iter();
                let inputs = inputs.filter(|(name, _)| stage.inputs.contains_key(*name));
                let inputs = inputs.map(|(name, input)| (name.clone(), input.digest.clone()));
                Request {
                    kind: manifest.kind.clone(),
                    producer: manifest.producer.clone(),
                    ..Request::new(description, &parameters, inputs.collect())
                }
            };
            let path: &Path = &self.run.path(&stage.output);
            if let Some(place) = adopt(&self.run.store, path, &request)? {
                self.run.finish(&stage.output, &place)?;
            }
        }
        Ok(())
    }
}

/// The digests of a stage's inputs, by kind; `None` while one of them is not there.
fn inputs(stage: &Stage, digests: &Digests) -> Option<BTreeMap<String, String>> {
    let inputs = stage.inputs.iter();
    inputs
        .map(|(kind, folder)| Some((kind.clone(), digests.get(folder)?.clone())))
        .collect()
}
