//! `cargo xtask bench`: ours beside what people use today, and beside the floor.
//! The other programs are the Python scripts of `benches/`.

use crate::child;
use crate::error::{Error, Result};
use crate::programs::Programs;
use crate::setup::cache::Cache;
use crate::setup::pip;
use crate::workspace::Workspace;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Its arguments.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure
    what: What,
    /// Arguments of the script, such as `-- --rounds 9`
    #[arg(last = true)]
    more: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Photographs to shards, beside libjpeg-turbo, Pillow and OpenCV
    Ingest,
}

/// The packages that the script of `bench ingest` needs; with others, another
/// folder of the cache.
const PACKAGES: [&str; 3] = [
    "pillow==12.0.0",
    "numpy==2.3.5",
    "opencv-python-headless==4.12.0.88",
];

/// Builds, brings the packages, measures.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let What::Ingest = args.what;
    if std::env::var_os("ATTEND_DATA").is_none() {
        return Err(Error::usage(
            "ATTEND_DATA is not set: it must name a folder with coco-mini/{train2014,val2014}/ of full-size photographs",
        ));
    }
    let programs = Programs::prepare(workspace, ["attend-ingest"], Some("release"))?;
    let ingest = programs.command(&["attend-ingest".to_owned()])?;
    let floor = example(workspace, "attend-image", "decode")?;
    let packages = packages()?;
    let mut python = Command::new("python3");
    python
        .arg(workspace.root.join("benches/ingest.py"))
        .arg(ingest.get_program())
        .arg(floor)
        .args(&args.more)
        .env("PYTHONPATH", packages);
    child::run_ok(&mut python)
}

/// Builds an example of one of our packages.
fn example(workspace: &Workspace, package: &str, name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        .args(["--package", package, "--example", name])
        .current_dir(&workspace.root);
    let (status, output) = child::run_for_output(&mut cargo)?;
    let mut messages = (output.lines()).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = messages.find_map(|m| Some(m.get("executable")?.as_str()?.into()));
    built
        .filter(|_| status.success())
        .ok_or_else(|| Error::failed(format!("{name} could not be built, see above")))
}

/// The folder of the Python packages; brought once per machine.
fn packages() -> Result<PathBuf> {
    let cache = Cache::locate()?;
    let _lock = cache.lock()?;
    cache.tree("bench-ingest-1", |folder| {
        pip::version()?;
        eprintln!("bringing {}", PACKAGES.join(", "));
        let mut command = Command::new("python3");
        command
            .args(["-m", "pip", "--disable-pip-version-check", "install"])
            .args(["--only-binary=:all:", "--target"])
            .arg(folder)
            .args(PACKAGES);
        child::run_ok(&mut command)
    })
}
