//! `cargo xtask gc`: deletes artifacts that no run needs.

use super::{confirm, print};
use crate::folders::{lock, name};
use crate::setup::cache::remove;
use crate::store::{Store, Unneeded, parts, staging, unneeded};
use crate::time::spent;
use crate::workspace::{Workspace, shown};
use attend_program::Result;
use attend_program::table::Align::{Left, Right};
use attend_program::table::Table;
use attend_program::text::human;
use std::path::PathBuf;

/// Command line of `cargo xtask gc`.
#[derive(clap::Args)]
pub struct Args {
    /// Only list what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Where the runs are [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Lists the artifacts that no run needs, asks, and deletes them.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let artifacts = (args.artifacts.clone()).unwrap_or_else(|| workspace.artifacts());
    let store = Store::of(&artifacts);
    let all = unneeded(&store, &artifacts)?;
    if all.is_empty() {
        return print(format!(
            "{}: every artifact is needed by a run",
            shown(&artifacts)
        ));
    }
    let mut table = Table::new([Left, Right, Right, Left]);
    for one in &all {
        let work = if one.is_work { "unfinished work" } else { "" };
        let took = spent(&one.place).unwrap_or_default();
        table.row([name(&one.place), human(one.bytes), took, work.to_owned()]);
    }
    print(table)?;
    let bytes = all.iter().map(|one| one.bytes).sum();
    let what = format!("no run needs these {} ({})", all.len(), human(bytes));
    if args.dry_run {
        return print(what);
    }
    if !args.yes {
        confirm(&what)?;
    }
    // A run may have come to need one of them while the question stood.
    let listed = |one: &&Unneeded| all.iter().any(|listed| listed.place == one.place);
    delete(unneeded(&store, &artifacts)?.iter().filter(listed))
}

/// Deletes artifacts of the store, except those that a stage is writing.
pub fn delete<'a>(all: impl IntoIterator<Item = &'a Unneeded>) -> Result<()> {
    for one in all {
        let Some(_lock) = lock(&staging(&one.place)) else {
            print(format!("{} is being written: kept", shown(&one.place)))?;
            continue;
        };
        for path in parts(&one.place) {
            remove(&path)?;
        }
        print(format!(
            "deleted {} ({})",
            shown(&one.place),
            human(one.bytes)
        ))?;
    }
    Ok(())
}
