//! The ledger `rejected.parquet`: what a stage left out, why, and how that is told.
//!
//! Every image, caption and box that a source lists and the artifact lacks is one row
//! ([`RejectedRecord`]) with one [`Reason`]. An image with [`Reason::Damaged`] is the
//! exception: the artifact has it.

use crate::dataset::RejectedRecord;
use attend_program::text::escaped;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Defines [`Reason`]: a meaning, a name and a code for each.
macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal,)+) => {
        /// Why an image, caption or box was left out. The codes are stable: they stand in
        /// ledgers and in the counts of manifests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $meaning])+ #[serde(rename = $code)] $name,)+
        }

        impl Reason {
            /// The code, such as `too-large`.
            pub fn code(self) -> &'static str {
                match self {
                    $(Reason::$name => $code,)+
                }
            }
        }
    };
}

reasons! {
    /// Image: there is no such file, or its archive lacks it.
    Missing = "missing",
    /// Image: the operating system refuses to read it, or it is no regular file (a folder,
    /// a named pipe; in an archive, a link to something that the archive lacks).
    Unreadable = "unreadable",
    /// Image: the file ends before the picture does, or is empty.
    Truncated = "truncated",
    /// Image: the file's content breaks its format, or fails its checksum in the archive.
    Corrupt = "corrupt",
    /// Image: no known image format, or a rare variant of one; in an archive encrypted,
    /// sparse, or packed otherwise than by deflate.
    Unsupported = "unsupported",
    /// Image: more than `dataset.max_pixels`, or a file of more than 256 MiB.
    TooLarge = "too-large",
    /// Image: its file name leads out of the image root (`..`, `/…`, a link without
    /// `dataset.follow_links`).
    OutsideRoot = "outside-root",
    /// Image: its split's name can't be part of a file name.
    BadSplit = "bad-split",
    /// Image: it is in no split's list, or `dataset.restval` drops it. It does not count
    /// towards `dataset.max_rejected_fraction`.
    NoSplit = "no-split",
    /// Image or caption: an earlier one (of captions: of the same image) has the same id.
    DuplicateId = "duplicate-id",
    /// Image: it has no caption that can be used.
    NoCaption = "no-caption",
    /// Caption: nothing but white space and characters that don't show.
    EmptyCaption = "empty-caption",
    /// Caption: an export takes only so many of each image.
    TooMany = "too-many",
    /// Caption: more words than `vocab.max_length`.
    TooLong = "too-long",
    /// Caption: no word in it.
    Wordless = "wordless",
    /// Caption or box: its image is not listed, or several are.
    NoImage = "no-image",
    /// Caption or box: it could be used, but its image can't.
    ImageRejected = "image-rejected",
    /// Box: not four numbers, or nothing of it lies within the image.
    BadBox = "bad-box",
    /// Box: its category is not listed.
    NoCategory = "no-category",
    /// Image: it is used, for every pixel is there, but its file breaks its format's rules
    /// (`dataset.refuse_damaged`).
    Damaged = "damaged",
}

/// A table may hold reasons of other programs, too; so a row has the code.
impl PartialEq<Reason> for String {
    fn eq(&self, reason: &Reason) -> bool {
        self == reason.code()
    }
}

impl RejectedRecord {
    /// Row of an image.
    pub fn image(
        image_id: i64,
        file_name: &str,
        reason: Reason,
        detail: impl Into<String>,
    ) -> RejectedRecord {
        RejectedRecord {
            kind: "image".into(),
            id: image_id,
            image_id,
            file_name: file_name.into(),
            reason: reason.code().into(),
            detail: detail.into(),
        }
    }

    /// Row of a caption; `file_name` may be empty.
    pub fn caption(
        caption_id: i64,
        image_id: i64,
        file_name: &str,
        reason: Reason,
        detail: impl Into<String>,
    ) -> RejectedRecord {
        RejectedRecord {
            kind: "caption".into(),
            id: caption_id,
            ..RejectedRecord::image(image_id, file_name, reason, detail)
        }
    }

    /// Row of an object's box; `id` is its annotation's.
    pub fn object(
        id: i64,
        image_id: i64,
        file_name: &str,
        reason: Reason,
        detail: impl Into<String>,
    ) -> RejectedRecord {
        RejectedRecord {
            kind: "box".into(),
            id,
            ..RejectedRecord::image(image_id, file_name, reason, detail)
        }
    }

    /// The row as one line for a terminal, control characters escaped.
    pub fn line(&self) -> String {
        let name = match &*self.file_name {
            "" => String::new(),
            name => format!(" ({})", escaped(name)),
        };
        let (kind, id, reason) = (&self.kind, self.id, &self.reason);
        format!("{kind} {id}{name}: {reason}: {}", escaped(&self.detail))
    }
}

/// How many rows stand for something that was left out: all but [`Reason::Damaged`].
pub fn left_out(rows: &[RejectedRecord]) -> u64 {
    let left_out = rows.iter().filter(|row| row.reason != Reason::Damaged);
    left_out.count() as u64
}

/// Logs in a few lines what was left out.
pub fn report(rows: &[RejectedRecord]) {
    let damaged = || rows.iter().filter(|row| row.reason == Reason::Damaged);
    if let Some(first) = damaged().next() {
        let first = first.line();
        tracing::warn!("used {} damaged images; first: {first}", damaged().count());
    }
    for (kind, kinds) in [
        ("image", "images"),
        ("caption", "captions"),
        ("box", "boxes"),
    ] {
        let told = |row: &&RejectedRecord| {
            row.kind == kind && row.reason != Reason::ImageRejected && row.reason != Reason::Damaged
        };
        let rows = || rows.iter().filter(told);
        let Some(first) = rows().next() else { continue };
        tracing::warn!(
            "left out {kinds}: {}; first: {}",
            sums(rows()),
            first.line()
        );
    }
}

/// How many rows each reason has, for the manifest: `rejected.missing`, …, and `damaged`.
pub fn counts(rows: &[RejectedRecord]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let name = match row.reason == Reason::Damaged {
            true => row.reason.clone(),
            false => format!("rejected.{}", row.reason),
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
