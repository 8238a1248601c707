//! What was left out, why, and how that is told.
//!
//! Every image and caption that the annotations list and the artifact has not is
//! one row of `rejected.parquet`, with one of these reasons. The last is of an image
//! that the artifact has:
//!
//! | reason | of | meaning |
//! |---|---|---|
//! | `missing` | image | there is no such file, or its archive has none |
//! | `unreadable` | image | the operating system refuses to read it, or it is no regular file (a folder, a named pipe; in an archive a link) |
//! | `truncated` | image | the file ends before the picture does, or is empty |
//! | `corrupt` | image | the file's content breaks its format, or its checksum in the archive |
//! | `unsupported` | image | no known image format, or a rare variant of one; in an archive encrypted, or packed otherwise than by deflate |
//! | `too-large` | image | more than `dataset.max_pixels`, or a file of more than 256 MiB |
//! | `outside-root` | image | its file name leads out of the image root (`..`, `/…`, a link) |
//! | `bad-split` | image | its split's name can't be part of a file name |
//! | `duplicate-id` | image, caption | an earlier one has the same id |
//! | `no-caption` | image | it has no caption that can be used |
//! | `empty-caption` | caption | nothing but white space and characters that don't show |
//! | `no-image` | caption | its image is not listed |
//! | `image-rejected` | caption | it could be used, but its image can't |
//! | `damaged` | image | it is used, for every pixel is there, but its file breaks its format's rules (`dataset.refuse_damaged`) |

use crate::select::Candidate;
use attend_artifact::dataset::RejectedRecord;
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

/// Fails where more than `limit` (a fraction) of `listed` images under `root` were
/// rejected.
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
    let images: Vec<&RejectedRecord> = rejected
        .iter()
        .filter(|row| row.kind == "image" && row.reason != DAMAGED)
        .collect();
    let fraction = images.len() as f64 / listed.max(1) as f64;
    if fraction <= limit {
        return Ok(());
    }
    let first: String = images
        .iter()
        .take(3)
        .map(|row| format!("\n  {}", line(row)))
        .collect();
    Err(Error::input(format!(
        "{} of {listed} images under {} can't be used ({}): more than dataset.max_rejected_fraction = {limit} allows. First:{first}\n\
         All are in {}. Mend them, or allow more: the finished shards are kept.",
        images.len(),
        root.display(),
        sums(images.iter().copied()),
        table.display()
    )))
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
    for kind in ["image", "caption"] {
        let rows = || {
            rejected.iter().filter(|row| {
                row.kind == kind && !["image-rejected", DAMAGED].contains(&&*row.reason)
            })
        };
        let Some(first) = rows().next() else { continue };
        tracing::warn!(
            "left out {}s: {}; first: {}",
            kind,
            sums(rows()),
            line(first)
        );
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
fn sums<'a>(rows: impl Iterator<Item = &'a RejectedRecord>) -> String {
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

fn line(row: &RejectedRecord) -> String {
    let name = if row.file_name.is_empty() {
        String::new()
    } else {
        format!(" ({})", row.file_name)
    };
    format!(
        "{} {}{name}: {}: {}",
        row.kind, row.id, row.reason, row.detail
    )
}
