//! `cargo xtask test`: what continuous integration runs.

use crate::child;
use crate::setup::{self, cache::Cache, tools};
use crate::time::seconds;
use crate::workspace::Workspace;
use attend_program::{Error, Result, say};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Command line of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Run only the tests
    #[arg(long)]
    quick: bool,
    /// Further arguments of `cargo test`, after --
    #[arg(last = true, value_name = "ARGUMENTS")]
    more: Vec<String>,
}

/// Runs every step, even after one has failed, so that one run shows everything that
/// is wrong; cheap steps first.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    setup::ensure(
        workspace,
        setup::Request {
            deny: !args.quick,
            ..setup::Request::default()
        },
    )?;
    let mut results = Vec::new();
    for (name, mut command) in steps(args)? {
        say!("== {name}");
        let started = Instant::now();
        let status = child::run(command.current_dir(&workspace.root))?;
        let verdict = if status.success() { "ok" } else { "FAILED" };
        say!("== {name}: {verdict} ({})", seconds(started));
        results.push((name, status.success()));
    }
    let failed: Vec<&str> = results
        .iter()
        .filter(|(_, ok)| !ok)
        .map(|(name, _)| *name)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::internal(format!("failed: {}", failed.join(", "))))
    }
}

fn steps(args: &Args) -> Result<Vec<(&'static str, Command)>> {
    let cargo = |words: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(words);
        command
    };
    let mut test = cargo(&["test", "--workspace"]);
    test.args(&args.more);
    // Tests on real photographs are ignored otherwise, and shown as such.
    if std::env::var_os("ATTEND_DATA").is_some() && !args.more.iter().any(|word| word == "--") {
        test.args(["--", "--include-ignored"]);
    }
    if args.quick {
        return Ok(vec![("tests", test)]);
    }
    let cache = Cache::locate()?;
    let deny = tools::deny(&cache).ok_or_else(|| Error::internal("cargo-deny is gone"))?;
    let mut dependencies = Command::new(deny);
    dependencies.args(["check", "bans", "licenses", "sources"]);
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    // With the programs that the tests have built, in an environment of its own.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let mut python = Command::new("python3");
    python.arg("python/check.py");
    python.arg(Path::new(&target).join("debug"));
    python.arg(cache.root.join("python-package"));
    let mut pages = Command::new("python3");
    pages.arg("tests/browser/check.py");
    pages.arg(Path::new(&target).join("debug"));
    pages.arg(cache.root.join("browser"));
    let mut scores = Command::new("python3");
    scores.arg("crates/score-py/check.py");
    scores.arg(cache.root.join("python-scores"));
    Ok(vec![
        ("format", cargo(&["fmt", "--all", "--check"])),
        ("dependencies", dependencies),
        (
            "lints",
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        ("documentation", doc),
        ("tests", test),
        ("python", python),
        ("scores for Python", scores),
        ("pages", pages),
    ])
}
