//! The limit of rejected images, beyond which a run fails.

use attend_artifact::dataset::RejectedRecord;
use attend_artifact::ledger::{Reason, sums};
use attend_program::{Error, Result};
use std::path::Path;

/// Fails if all of the `listed` images under `root`, or a fraction of them above `limit`,
/// were rejected.
///
/// # Errors
/// [`Error::Input`] with the counts and the first few images; `table` has all of them.
pub fn check(
    rejected: &[RejectedRecord],
    listed: usize,
    limit: f64,
    root: &Path,
    table: &Path,
) -> Result<()> {
    let images = || {
        let left_out = |row: &&RejectedRecord| row.kind == "image" && row.reason != Reason::Damaged;
        rejected.iter().filter(left_out)
    };
    // Images in no split are left out on purpose.
    let lost = || images().filter(|row| row.reason != Reason::NoSplit);
    let total = listed - (images().count() - lost().count());
    let (many, root, table) = (lost().count(), root.display(), table.display());
    if many as f64 / total.max(1) as f64 > limit {
        return Err(Error::input(format!(
            "{many} of {total} images under {root} can't be used ({}): more than dataset.max_rejected_fraction = {limit} allows. First:{}\n\
             All are in {table}. Mend them, or allow more: the finished shards are kept.",
            sums(lost()),
            first(lost()),
        )));
    }
    if total == 0 && images().next().is_none() {
        return Err(Error::input(format!("{root}: no image is listed")));
    }
    if many == total {
        return Err(Error::input(format!(
            "{root}: not one image can be used ({}). First:{}\nAll are in {table}",
            sums(images()),
            first(images()),
        )));
    }
    Ok(())
}

/// The first three rows, a line each.
fn first<'a>(rows: impl Iterator<Item = &'a RejectedRecord>) -> String {
    rows.take(3)
        .map(|row| format!("\n  {}", row.line()))
        .collect()
}
