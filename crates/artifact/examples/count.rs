//! A whole stage in one page: it writes a file for each number up to
//! `count.to`. The tests interrupt it, damage what it made, and run it again.
//!
//! `cargo run -p attend-artifact --example count -- --set count.to=5 --output /tmp/numbers`

use attend_artifact::{At, Result, Stage, StageSpec, check_interrupt, stage};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

const SPEC: StageSpec = StageSpec {
    name: "count",
    version: env!("CARGO_PKG_VERSION"),
    about: "Writes a file for each number",
    inputs: &[],
    output: "numbers",
    unrecorded: &["count.crash_at"],
};

#[derive(Serialize, Deserialize, Default)]
struct Config {
    #[serde(default)]
    count: Count,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Count {
    /// How many numbers.
    to: u64,
    /// The number at which the process dies hard, for tests.
    crash_at: Option<u64>,
}

impl Default for Count {
    fn default() -> Self {
        Count {
            to: 3,
            crash_at: None,
        }
    }
}

fn main() -> ExitCode {
    stage::main(&SPEC, count)
}

fn count(stage: &Stage<Config>) -> Result<()> {
    let Some(staging) = stage.begin(&[], None)? else {
        return Ok(());
    };
    let numbers = &stage.config.count;
    for n in 0..numbers.to {
        check_interrupt()?;
        let name = format!("numbers/{n}.txt");
        if staging.is_done(&name) {
            tracing::info!("kept {n}");
            continue;
        }
        let path = staging.path(&name)?;
        std::fs::write(&path, n.to_string()).at(&path)?;
        if numbers.crash_at == Some(n) {
            std::process::abort();
        }
        staging.done(&name, Some(1))?;
    }
    let notes = staging.scratch("notes")?;
    std::fs::write(&notes, "no part of the artifact").at(&notes)?;
    let manifest = staging.commit(&[("numbers", numbers.to)])?;
    tracing::info!("made {}", manifest.digest);
    Ok(())
}
