//! Builds the stages' programs, or finds them.

use crate::child;
use crate::setup;
use crate::stamp::Stamp;
use crate::workspace::Workspace;
use attend_program::{At, Error, Result, say};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs by name.
#[derive(Clone)]
pub struct Programs {
    root: PathBuf,
    /// The folder that `ATTEND_BIN_DIR` names: all programs are there.
    folder: Option<PathBuf>,
    built: BTreeMap<String, PathBuf>,
}

impl Programs {
    /// Builds those of `names` that belong to this workspace (after installing what the
    /// build needs), unless `ATTEND_BIN_DIR` is set. `profile` is cargo's: by default
    /// `ATTEND_PROFILE`, else `release`.
    pub fn prepare<'a>(
        workspace: &Workspace,
        names: impl IntoIterator<Item = &'a str>,
        profile: Option<&str>,
    ) -> Result<Programs> {
        let mut programs = Programs {
            root: workspace.root.clone(),
            folder: workspace.programs(),
            built: BTreeMap::new(),
        };
        if programs.folder.is_some() {
            return Ok(programs);
        }
        let ours = ours(workspace)?;
        let wanted: BTreeMap<&str, &str> = names
            .into_iter()
            .filter_map(|name| Some((name, ours.get(name)?.as_str())))
            .collect();
        if !wanted.is_empty() {
            let from_env = std::env::var("ATTEND_PROFILE").ok();
            let are = |package: &str| wanted.values().all(|wanted| *wanted == package);
            let (is_heavy, is_fetch) = (are(HEAVY), are(FETCH));
            let usual = if is_heavy || is_fetch {
                QUICK
            } else {
                "release"
            };
            let profile = profile.or(from_env.as_deref()).unwrap_or(usual);
            let stamp = Stamp::of(workspace, profile);
            programs.built = match stamp.read(true) {
                Some(built) if wanted.keys().all(|name| built.contains_key(*name)) => built,
                _ => {
                    if !is_fetch {
                        setup::ensure(workspace, setup::Request::default())?;
                    }
                    if is_heavy {
                        say!("building {HEAVY}: polars takes minutes, the first time");
                    }
                    let built = build(workspace, &ours, &wanted, profile)?;
                    stamp.write(&built)?;
                    built
                }
            };
        }
        Ok(programs)
    }

    /// The programs that have been built, perhaps from older sources. Builds nothing.
    pub fn known(workspace: &Workspace) -> Programs {
        let from_env = std::env::var("ATTEND_PROFILE").ok();
        let stamp = Stamp::of(workspace, from_env.as_deref().unwrap_or("release"));
        Programs {
            root: workspace.root.clone(),
            folder: std::env::var_os("ATTEND_BIN_DIR").map(PathBuf::from),
            built: stamp.read(false).unwrap_or_default(),
        }
    }

    /// A command that starts `words`: a program's name and its first arguments.
    pub fn command(&self, words: &[String]) -> Result<Command> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| Error::usage("empty command"))?;
        let mut command = Command::new(self.find(program)?);
        command.args(arguments);
        Ok(command)
    }

    /// Whether a program is one of this workspace, or in the folder that stands for them.
    pub fn is_ours(&self, program: &str) -> bool {
        let in_folder = |folder: &PathBuf| folder.join(program).is_file();
        self.built.contains_key(program) || self.folder.as_ref().is_some_and(in_folder)
    }

    fn find(&self, program: &str) -> Result<PathBuf> {
        if program.contains('/') {
            let path = self.root.join(program);
            return if path.is_file() {
                Ok(path)
            } else {
                Err(Error::usage(format!(
                    "program {}: no such file",
                    path.display()
                )))
            };
        }
        if let Some(path) = self
            .folder
            .as_ref()
            .map(|folder| folder.join(program))
            .filter(|path| path.is_file())
        {
            return Ok(path);
        }
        let found = self
            .built
            .get(program)
            .cloned()
            .or_else(|| setup::tools::on_path(program));
        found.ok_or_else(|| {
            let tried = self.folder.as_ref().map_or_else(
                || "a crate of this workspace".to_owned(),
                |folder| format!("in {}", folder.display()),
            );
            Error::usage(format!("program {program}: neither {tried} nor on PATH"))
        })
    }
}

/// Names of the programs of the workspace's crates; without the one that takes most of a
/// full build, unless `heavy`.
pub fn names(workspace: &Workspace, heavy: bool) -> Result<Vec<String>> {
    let mut programs = ours(workspace)?;
    programs.retain(|_, package| heavy || package != HEAVY);
    Ok(programs.into_keys().collect())
}

/// Program -> package, for every program of the workspace's crates.
fn ours(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let mut programs = BTreeMap::new();
    let crates = workspace.root.join("crates");
    for entry in crates.read_dir().into_iter().flatten().flatten() {
        let folder = entry.path();
        let Some(package) = package_name(&folder.join("Cargo.toml"))? else {
            continue;
        };
        if folder.join("src/main.rs").is_file() {
            programs.insert(package.clone(), package.clone());
        }
        for file in folder
            .join("src/bin")
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Some(stem) = file.path().file_stem() {
                programs.insert(stem.to_string_lossy().into_owned(), package.clone());
            }
        }
    }
    Ok(programs)
}

fn package_name(manifest: &Path) -> Result<Option<String>> {
    if !manifest.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(manifest).at(manifest)?;
    let table: toml::Table = text.parse().at(manifest)?;
    Ok(table
        .get("package")
        .and_then(|p| p.get("name"))
        .and_then(toml::Value::as_str)
        .map(str::to_owned))
}

/// The package that takes most of a full build's time, and that no stage needs.
const HEAVY: &str = "attend-stats";

/// The package that needs nothing installed, and may be asked for before anything else.
const FETCH: &str = "attend-fetch";

/// The profile in which these two are built alone: without optimisation of what they depend
/// on.
const QUICK: &str = "stats";

/// Builds programs with cargo, which shows its progress; returns their paths.
/// Always builds all stages: cargo builds a dependency with the features that all named
/// packages need, so naming fewer packages would build the same dependencies again.
fn build(
    workspace: &Workspace,
    ours: &BTreeMap<String, String>,
    wanted: &BTreeMap<&str, &str>,
    profile: &str,
) -> Result<BTreeMap<String, PathBuf>> {
    let stages = ours.values().map(String::as_str);
    let stages = stages.filter(|package| ![HEAVY, FETCH].contains(package) && profile != QUICK);
    let packages: BTreeSet<&str> = stages.chain(wanted.values().copied()).collect();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--message-format=json-render-diagnostics",
            "--profile",
            profile,
        ])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .arg("--bins")
        .current_dir(&workspace.root);
    let (status, output) = child::run_for_output(&mut cargo)?;
    if !status.success() {
        return Err(Error::internal("the build failed, see above"));
    }
    let messages = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages
        .filter_map(|m| {
            Some((
                m.get("target")?.get("name")?.as_str()?.to_owned(),
                m.get("executable")?.as_str()?.into(),
            ))
        })
        .collect())
}
