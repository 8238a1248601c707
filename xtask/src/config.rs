//! The config file of a run, checked against the parameters that the stages of the
//! pipeline declare.

use crate::pipeline::is_plain;
use crate::workspace::shown;
use attend_program::config::{self, Schema, nearest};
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};
use toml::Table;

/// The config of a task: a file, or what a run was given.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Choice {
    /// Config file, such as configs/coco2014.toml
    #[arg(long, value_name = "FILE", required_unless_present = "run")]
    pub config: Option<PathBuf>,
    /// Instead of a config: the parameters that this run was last given
    #[arg(long, value_name = "RUN", conflicts_with = "config")]
    pub run: Option<String>,
}

impl Choice {
    /// The config file.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such run.
    pub fn path(&self, artifacts: &Path) -> Result<PathBuf> {
        let Some(run) = &self.run else {
            return Ok(self.config.clone().unwrap_or_default());
        };
        let path = artifacts.join(run).join(crate::run::CONFIG);
        match is_plain(run) && path.is_file() {
            true => Ok(path),
            false => Err(Error::usage(format!(
                "--run {run}: {} has no such run with a config; `cargo xtask status` shows the runs",
                shown(artifacts)
            ))),
        }
    }
}

/// A config file with the overrides of the command line.
pub struct Config {
    path: PathBuf,
    given: config::Config,
}

impl Config {
    /// Reads a config file.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Config> {
        let path = PathBuf::from(shown(path));
        Ok(Config {
            given: config::Config::read(Some(&path), overrides)?,
            path,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the run: `run.name`, else the file's name.
    pub fn run_name(&self) -> Result<String> {
        let stem = || self.path.file_stem().unwrap_or_default().to_string_lossy();
        let name = self.given.string("run", "name")?;
        let name = name.unwrap_or_else(|| stem().into_owned());
        if !is_plain(&name) {
            let why = format!(
                "run.name = {name:?} can't be the name of a folder: use letters, digits, - and _"
            );
            return Err(self.given.refuse("run", "name", why));
        }
        Ok(name)
    }

    /// Name of the pipeline: `run.pipeline`, else `captioning`.
    pub fn pipeline(&self) -> Result<String> {
        let name = self.given.string("run", "pipeline")?;
        Ok(name.unwrap_or_else(|| "captioning".to_owned()))
    }

    /// Checks every section and key of the file and of the command line. Returns the
    /// file's values, overridden by those of the command line.
    pub fn given(&self, schema: &Schema) -> Result<Table> {
        self.given.given(schema, |section| {
            let near = nearest(section, schema.keys().map(String::as_str))
                .map_or_else(String::new, |near| format!("; the nearest is [{near}]"));
            Err(format!(
                "no stage of this pipeline has a section [{section}]{near}; remove it if its stage was replaced"
            ))
        })
    }
}
