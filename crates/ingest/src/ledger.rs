//! What was left out, why, and how that is told.
//!
//! Every image, caption and box that the annotations list and the artifact has not is
//! one row of `rejected.parquet`, with one of these reasons. The last is of an image
//! that the artifact has:
//!
//! | reason | of | meaning |
//! |---|---|---|
//! | `missing` | image | there is no such file, or its archive has none |
//! | `unreadable` | image | the operating system refuses to read it, or it is no regular file (a folder, a named pipe; in an archive a link to what it has not) |
//! | `truncated` | image | the file ends before the picture does, or is empty |
//! | `corrupt` | image | the file's content breaks its format, or its checksum in the archive |
//! | `unsupported` | image | no known image format, or a rare variant of one; in an archive encrypted, sparse, or packed otherwise than by deflate |
//! | `too-large` | image | more than `dataset.max_pixels`, or a file of more than 256 MiB |
//! | `outside-root` | image | its file name leads out of the image root (`..`, `/…`, a link without `dataset.follow_links`) |
//! | `bad-split` | image | its split's name can't be part of a file name |
//! | `no-split` | image | it is in no split's list, or `dataset.restval` drops it; not counted by `dataset.max_rejected_fraction` |
//! | `duplicate-id` | image, caption | an earlier one (of captions: of the same image) has the same id |
//! | `no-caption` | image | it has no caption that can be used |
//! | `empty-caption` | caption | nothing but white space and characters that don't show |
//! | `too-many` | caption | of an HDF5 export: more than `--captions-per-image` of its image |
//! | `no-image` | caption, box | its image is not listed, or several are |
//! | `image-rejected` | caption, box | it could be used, but its image can't |
//! | `bad-box` | box | not four numbers, or nothing of it lies within the image |
//! | `no-category` | box | its category is not listed |
//! | `damaged` | image | it is used, for every pixel is there, but its file breaks its format's rules (`dataset.refuse_damaged`) |

use crate::select::Candidate;
use attend_artifact::dataset::RejectedRecord;
use attend_artifact::text::escaped;
use attend_artifact::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The reason of an image that was not left out.
const DAMAGED: &str = "damaged";

/// Row of a rejected image.
pub fn image(
    image_id: i64,
    file_name: &str,
    reason: &str,
    detail: impl Into<String>,
) -> RejectedRecord {
    RejectedRecord {
        kind: "image".into(),
        id: image_id,
        image_id,
        file_name: file_name.into(),
        reason: reason.into(),
        detail: detail.into(),
    }
}

/// Row of an image that is used although its file is damaged.
pub fn damaged(candidate: &Candidate, damage: String) -> RejectedRecord {
    image(candidate.image_id, &candidate.file_name, DAMAGED, damage)
}

/// How many rows are of what was left out.
pub fn left_out(rows: &[RejectedRecord]) -> u64 {
    rows.iter().filter(|row| row.reason != DAMAGED).count() as u64
}

/// Row of a rejected caption.
pub fn caption(
    caption_id: i64,
    image_id: i64,
    file_name: &str,
    reason: &str,
    detail: impl Into<String>,
) -> RejectedRecord {
    RejectedRecord {
        kind: "caption".into(),
        id: caption_id,
        ..image(image_id, file_name, reason, detail)
    }
}

/// Row of a rejected box, of the annotation with this id.
pub fn of_box(
    id: i64,
    image_id: i64,
    file_name: &str,
    reason: &str,
    detail: impl Into<String>,
) -> RejectedRecord {
    RejectedRecord {
        kind: "box".into(),
        id,
        ..image(image_id, file_name, reason, detail)
    }
}

/// Fails where all or more than `limit` (a fraction) of `listed` images under `root`
/// were rejected.
///
/// # Errors
/// [`Error::Input`] with the sums and the first few; `table` is where all are.
pub fn check(
    rejected: &[RejectedRecord],
    listed: usize,
    limit: f64,
    root: &Path,
    table: &Path,
) -> Result<()> {
    let images = || {
        let left_out = |row: &&RejectedRecord| row.kind == "image" && row.reason != DAMAGED;
        rejected.iter().filter(left_out)
    };
    // What is left out on purpose is no loss.
    let lost = || images().filter(|row| row.reason != "no-split");
    let wanted = listed - (images().count() - lost().count());
    let (many, root, table) = (lost().count(), root.display(), table.display());
    if many as f64 / wanted.max(1) as f64 > limit {
        return Err(Error::input(format!(
            "{many} of {wanted} images under {root} can't be used ({}): more than dataset.max_rejected_fraction = {limit} allows. First:{}\n\
             All are in {table}. Mend them, or allow more: the finished shards are kept.",
            sums(lost()),
            first(lost()),
        )));
    }
    if wanted == 0 && images().next().is_none() {
        return Err(Error::input(format!("{root}: no image is listed")));
    }
    if many == wanted {
        return Err(Error::input(format!(
            "{root}: not one image can be used ({}). First:{}\nAll are in {table}",
            sums(images()),
            first(images()),
        )));
    }
    Ok(())
}

/// Says in a few lines what was left out.
pub fn report(rejected: &[RejectedRecord]) {
    let damaged = || rejected.iter().filter(|row| row.reason == DAMAGED);
    if let Some(first) = damaged().next() {
        tracing::warn!(
            "used {} damaged images; first: {}",
            damaged().count(),
            line(first)
        );
    }
    for (kind, kinds) in [
        ("image", "images"),
        ("caption", "captions"),
        ("box", "boxes"),
    ] {
        let rows = || {
            rejected.iter().filter(|row| {
                row.kind == kind && !["image-rejected", DAMAGED].contains(&&*row.reason)
            })
        };
        let Some(first) = rows().next() else { continue };
        tracing::warn!("left out {kinds}: {}; first: {}", sums(rows()), line(first));
    }
}

/// How many were left out for each reason, for the manifest: `rejected.missing`; and
/// how many are `damaged`.
pub fn counts(rejected: &[RejectedRecord]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in rejected {
        let name = match &*row.reason {
            DAMAGED => DAMAGED.to_owned(),
            reason => format!("rejected.{reason}"),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// `2 missing, 1 truncated`, the most frequent first.
pub fn sums<'a>(rows: impl Iterator<Item = &'a RejectedRecord>) -> String {
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *sums.entry(&row.reason).or_default() += 1;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    sums.iter()
        .map(|(reason, n)| format!("{n} {reason}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A line each of the first three.
fn first<'a>(rows: impl Iterator<Item = &'a RejectedRecord>) -> String {
    rows.take(3)
        .map(|row| format!("\n  {}", line(row)))
        .collect()
}

/// A row in one line, whatever its names are made of; the table has them as they are.
fn line(row: &RejectedRecord) -> String {
    let name = match &*row.file_name {
        "" => String::new(),
        name => format!(" ({})", escaped(name)),
    };
    let detail = escaped(&row.detail);
    format!("{} {}{name}: {}: {detail}", row.kind, row.id, row.reason)
}
