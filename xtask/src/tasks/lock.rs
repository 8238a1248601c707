//! `cargo xtask lock RUN`: pins a finished run to the artifacts that it has.

use super::print;
use crate::folders::name;
use crate::pipeline::Pipeline;
use crate::run::{LOCK, PIPELINE, Pin, Pinned, Run, write_if_new};
use crate::store::{Manifest, State, look};
use crate::workspace::{Workspace, shown};
use attend_program::{Error, Result};
use std::path::PathBuf;

/// Command line of `cargo xtask lock`.
#[derive(clap::Args)]
pub struct Args {
    /// Name of the run
    run: String,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Writes the run's `lock.toml`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let run = Run::of(&artifacts, &args.run);
    let path = run.folder.join(PIPELINE);
    let pipeline = Pipeline::load(workspace, &path.to_string_lossy())?;
    let mut pinned = Pinned::new();
    for stage in &pipeline.stages {
        let unfinished = |why: &str| {
            Error::usage(format!(
                "{}: {} {why}; a run is pinned once it is finished",
                shown(&run.folder),
                stage.output
            ))
        };
        let place = run
            .place(&stage.output)
            .ok_or_else(|| unfinished("does not exist"))?;
        let (state, why) = look(&place);
        if matches!(state, State::Damaged | State::Missing | State::Running) {
            return Err(unfinished(&format!(
                "is {} {}",
                state.word(),
                why.join("; ")
            )));
        }
        let Some(Ok(manifest)) = Manifest::read(&place) else {
            return Err(unfinished("has no manifest"));
        };
        let pin = Pin {
            place: name(&place),
            digest: manifest.digest,
        };
        pinned.insert(stage.name.clone(), pin);
    }
    let text = toml::to_string(&pinned).map_err(Error::internal)?;
    let path = run.folder.join(LOCK);
    let text = format!(
        "# `cargo xtask run … --locked` refuses to end with other artifacts than these.\n\n{text}"
    );
    write_if_new(&path, &text)?;
    print(format!("{}: {} artifacts", shown(&path), pinned.len()))
}
