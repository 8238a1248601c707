//! `cargo xtask setup`.

use crate::error::Result;
use crate::setup::{Wish, ensure};
use crate::workspace::{Workspace, shown};

/// Its arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Keep the downloaded files in the cache
    #[arg(long)]
    keep_downloads: bool,
    /// Bring cargo-deny too, which `test` needs
    #[arg(long)]
    deny: bool,
}

/// Provides what is missing.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let started = std::time::Instant::now();
    if ensure(
        workspace,
        Wish {
            deny: args.deny,
            keep: args.keep_downloads,
        },
    )? {
        eprintln!(
            "set up in {:.0} s: {} and {}",
            started.elapsed().as_secs_f64(),
            shown(&workspace.libtorch()),
            shown(&workspace.tool(""))
        );
    } else {
        eprintln!("nothing to do");
    }
    Ok(())
}
