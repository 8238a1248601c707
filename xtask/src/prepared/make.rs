//! Runs a stage, and enters what it has made in the run's folder.

use super::Prepared;
use crate::child::{self, Ways};
use crate::options::Options;
use crate::pipeline::{Pipeline, Stage};
use crate::plan::{Plan, Step};
use crate::run::{self, CONFIG, PIPELINE, write_if_new};
use crate::store::{Manifest, State, beside, carry, is_carried, look, made};
use crate::workspace::shown;
use attend_program::describe::Parts;
use attend_program::{At, Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

impl Prepared {
    /// Runs a stage; returns the digest of what it has made.
    pub(super) fn make(
        &self,
        step: &Step,
        place: &Path,
        options: &Options,
        quiet: bool,
        alone: bool,
    ) -> Result<String> {
        let (stage, description) = &self.plan.stages[step.index];
        let run = &self.plan.run;
        let _lock = run.lock(&stage.name, options.task.is_some())?;
        std::fs::create_dir_all(&run.store.root).at(&run.store.root)?;
        let config = self.write_config(step.index)?;
        if let (true, Some(request)) = (description.extends, &step.request) {
            let begun = [run.next(&stage.output), run.place(&stage.output)];
            for from in begun.into_iter().flatten() {
                if carry(&run.store, &from, place, request)? {
                    break;
                }
            }
        }
        run.begin(&stage.output, place)?;
        let log = beside(place, ".log");
        let mut command = self.command(stage, &config, place, options)?;
        if options.forces(&stage.name) {
            command.arg("--force");
        }
        // A copy may go; the original lies at its own place.
        if (options.discard || is_carried(place)) && description.discard {
            command.arg("--discard");
        }
        if description.log {
            command.arg("--log").arg(&log);
        }
        if let (Some(shards), Parts::Shards) = (&options.shards, description.parts) {
            command.args(["--shards", shards]);
        }
        run.link_log(&stage.name, &log)?;
        let prefix = if alone {
            ""
        } else {
            &format!("{}{}: ", self.label, stage.name)
        };
        let ways = Ways {
            terminal: alone && description.log,
            prefix,
            log: (!description.log).then_some(&log),
            out: &beside(place, ".out"),
            quiet,
        };
        child::run_stage(&mut command, ways)?;
        if options.task.is_some() {
            return Ok(String::new());
        }
        made(place)?;
        if let (State::Damaged, why) = look(place) {
            return Err(Error::refused(format!(
                "stage {}: says that it is done, but in {} {}; `--force {0}` makes it again",
                stage.name,
                shown(place),
                why.join("; ")
            )));
        }
        match Manifest::read(place) {
            Some(Ok(manifest)) => Ok(manifest.digest),
            found => Err(Error::refused(format!(
                "stage {}: {} has left no artifact at {}{}",
                stage.name,
                stage.command.join(" "),
                shown(place),
                found.map_or_else(String::new, |e| format!(
                    " ({})",
                    e.err().unwrap_or_default()
                ))
            ))),
        }
    }

    fn command(
        &self,
        stage: &Stage,
        config: &Path,
        place: &Path,
        options: &Options,
    ) -> Result<Command> {
        let mut command = self.programs.command(&stage.command)?;
        command.arg("--config").arg(shown(config));
        for (kind, folder) in &stage.inputs {
            let path = shown(&self.plan.run.path(folder));
            command.arg("--input").arg(format!("{kind}={path}"));
        }
        command.arg("--output").arg(shown(place));
        if let Some(jobs) = options.jobs {
            command.args(["--jobs", &jobs.to_string()]);
        }
        if let Some(task) = &options.task {
            command.args(["--task", task]);
        }
        if options.finalize {
            command.arg("--finalize");
        }
        Ok(command)
    }

    /// Enters the artifact at `place` in the run's folder, with the parameters and the files
    /// of the inputs that made it.
    pub fn finish(&self, step: &Step, place: &Path) -> Result<()> {
        let (stage, _) = &self.plan.stages[step.index];
        let run = &self.plan.run;
        let config = self.write_config(step.index)?;
        run.finish(&stage.output, place)?;
        let made = run.config(&stage.name, ".toml");
        if config != made {
            std::fs::rename(&config, &made).at(&config)?;
        }
        let inputs = stage.inputs.iter().filter_map(|(kind, folder)| {
            let manifest = Manifest::read(&run.place(folder)?)?.ok()?;
            Some((kind.clone(), run::files(&manifest)))
        });
        run.write_inputs(&stage.name, &inputs.collect::<BTreeMap<_, _>>())
    }

    /// Writes what the run was given, and the stages that make its artifacts.
    pub fn write_run(&self) -> Result<()> {
        let Plan { run, stages, given } = &self.plan;
        let mut given = given.clone();
        let section = given
            .entry("run")
            .or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            let name = crate::folders::name(&run.folder);
            section.insert("name".to_owned(), name.into());
        }
        let text = format!("# given by {}\n\n{given}", shown(&self.source));
        if self.source != run.folder.join(CONFIG) {
            write_if_new(&run.folder.join(CONFIG), &text)?;
        }
        let pipeline = Pipeline {
            stages: stages.iter().map(|(stage, _)| stage.clone()).collect(),
        };
        let text = toml::to_string(&pipeline).map_err(Error::internal)?;
        write_if_new(&run.folder.join(PIPELINE), &text)
    }

    /// Writes `config/STAGE.toml`: every parameter of a stage, with its value in this run,
    /// so that the stage can be run by itself. An older file holds the parameters of the
    /// existing artifact; then the new one is called `STAGE.next.toml` until the stage
    /// has succeeded.
    pub fn write_config(&self, index: usize) -> Result<PathBuf> {
        let (stage, _) = &self.plan.stages[index];
        let table = self.plan.parameters(index);
        let command = stage.command.join(" ");
        let text = format!("# {command}, with its defaults\n\n{table}");
        let path = self.plan.run.config(&stage.name, ".toml");
        let content = |text: &str| text.parse::<toml::Table>().ok();
        let old = std::fs::read_to_string(&path).ok();
        let path = match old.is_some_and(|old| content(&old).as_ref() != Some(&table)) {
            true => self.plan.run.config(&stage.name, ".next.toml"),
            false if path.exists() => return Ok(path),
            false => path,
        };
        write_if_new(&path, &text)?;
        Ok(path)
    }
}
