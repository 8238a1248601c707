//! `cargo xtask setup`: installs what a build needs.

use crate::setup::{Request, ensure};
use crate::workspace::Workspace;
use attend_program::{Result, say};

/// Command line of `cargo xtask setup`.
#[derive(clap::Args)]
pub struct Args {
    /// Keep the downloaded files in the cache
    #[arg(long)]
    keep_downloads: bool,
    /// Also install cargo-deny, which `test` needs
    #[arg(long)]
    deny: bool,
    /// Also install the data of METEOR (105 MB), which the METEOR score needs
    #[arg(long)]
    meteor: bool,
}

/// Installs what is missing.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let started = std::time::Instant::now();
    if ensure(
        workspace,
        Request {
            deny: args.deny,
            meteor: args.meteor,
            keep: args.keep_downloads,
        },
    )? {
        say!(
            "set up in {:.0} s; `cargo xtask doctor` lists what is installed where",
            started.elapsed().as_secs_f64()
        );
    } else {
        say!("nothing to do");
    }
    Ok(())
}
