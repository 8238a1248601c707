//! `cargo xtask setup`.

use crate::setup::{Wish, ensure};
use crate::workspace::Workspace;
use attend_program::{Result, say};

/// Its arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Keep the downloaded files in the cache
    #[arg(long)]
    keep_downloads: bool,
    /// Bring cargo-deny too, which `test` needs
    #[arg(long)]
    deny: bool,
    /// Bring the data of METEOR (105 MB), which the score of that name needs
    #[arg(long)]
    meteor: bool,
}

/// Provides what is missing.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let started = std::time::Instant::now();
    if ensure(
        workspace,
        Wish {
            deny: args.deny,
            meteor: args.meteor,
            keep: args.keep_downloads,
        },
    )? {
        say!(
            "set up in {:.0} s; `cargo xtask doctor` says what is where",
            started.elapsed().as_secs_f64()
        );
    } else {
        say!("nothing to do");
    }
    Ok(())
}
