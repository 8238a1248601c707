//! A complete stage on one page: it writes a file for each number below
//! `count.to`. The tests interrupt it, damage its output, and run it again.
//!
//! `cargo run -p attend-artifact --example count -- --set count.to=5 --output /tmp/numbers`

use attend_artifact::{Piece, Stage, StageSpec, stage};
use attend_program::describe::Parts;
use attend_program::{At, Result, check_interrupt};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;

const SPEC: StageSpec = StageSpec {
    name: "count",
    version: env!("CARGO_PKG_VERSION"),
    about: "Writes a file for each number",
    inputs: &[],
    output: "numbers",
    parts: Parts::Shards,
    unrecorded: &["count.crash_at", "count.plus", "count.sleep"],
    paths: &[],
    extends: false,
};

#[derive(Serialize, Deserialize, Default)]
struct Config {
    #[serde(default)]
    count: Count,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Count {
    /// Number of numbers.
    to: u64,
    /// The number at which the process aborts, for tests.
    crash_at: Option<u64>,
    /// Added to the last number: stands for a source that changes.
    plus: u64,
    /// Seconds that the first number takes, during which signals are not checked.
    sleep: f64,
}

impl Default for Count {
    fn default() -> Self {
        Count {
            to: 3,
            crash_at: None,
            plus: 0,
            sleep: 0.0,
        }
    }
}

fn main() -> ExitCode {
    stage::main(&SPEC, stage::nothing, count)
}

fn count(stage: &Stage<Config>) -> Result<()> {
    let numbers = &stage.config.count;
    let last = numbers.to.saturating_sub(1);
    let plus = |n: u64| if n == last { numbers.plus } else { 0 };
    let pieces: Vec<Piece> = (0..numbers.to)
        .map(|n| Piece {
            name: format!("numbers/{n}.txt"),
            sources: format!("plus {}", plus(n)),
        })
        .collect();
    let Some(staging) = stage.begin_pieces(&[], &pieces)? else {
        return Ok(());
    };
    let to_make = staging.to_make(&pieces)?;
    for (n, piece) in (0..).zip(&pieces) {
        check_interrupt()?;
        if !to_make.contains(&piece) {
            tracing::info!("kept {n}");
            continue;
        }
        if n == 0 {
            tracing::info!("began");
            std::thread::sleep(Duration::from_secs_f64(numbers.sleep));
        }
        let path = staging.path(&piece.name)?;
        std::fs::write(&path, (n + plus(n)).to_string()).at(&path)?;
        if numbers.crash_at == Some(n) {
            std::process::abort();
        }
        tracing::info!("wrote {n}");
        staging.piece_done(piece, 1, Some(format!("note {n}").as_bytes()))?;
    }
    if staging.is_task() {
        return Ok(());
    }
    let manifest = staging.commit(&[("numbers", numbers.to)])?;
    tracing::info!("made {}", manifest.digest);
    Ok(())
}
