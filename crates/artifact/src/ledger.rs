//! The ledger `rejected.parquet`: what a stage left out and why, and how it is reported.
//!
//! Every image, caption and box that a source lists and the artifact lacks is one row
//! ([`RejectedRecord`]) with one [`Reason`]. [`Reason::Damaged`] is the exception: the
//! artifact has that image.

use crate::dataset::RejectedRecord;
use attend_program::text::escaped;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Defines [`Reason`]: a meaning, a name and a code for each.
macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal,)+) => {
        /// Why an image, caption or box was left out. The codes are stable: ledgers and the
        /// counts of manifests contain them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $meaning])+ #[serde(rename = $code)] $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Reason] = &[$(Reason::$name,)+];

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
    /// Image: the operating system refuses to read it, or it is not a regular file (a folder,
    /// a named pipe; in an archive, a link to something that the archive lacks).
    Unreadable = "unreadable",
    /// Image: the file ends before the picture does, or is empty.
    Truncated = "truncated",
    /// Image: the file's content breaks its format, or fails its checksum in the archive.
    Corrupt = "corrupt",
    /// Image: not a known image format, or a rare variant of one; in an archive encrypted,
    /// sparse, or compressed with another method than deflate.
    Unsupported = "unsupported",
    /// Image: it has more than `dataset.max_pixels` pixels, or its file more than 256 MiB.
    TooLarge = "too-large",
    /// Image: its file name leads out of the image root (`..`, `/…`, a link without
    /// `dataset.follow_links`).
    OutsideRoot = "outside-root",
    /// Image: its row in a table can't be read: it has another number of fields than the
    /// header, no name of an image, or a cell of another type.
    BadRow = "bad-row",
    /// Image: its split's name can't be part of a file name.
    BadSplit = "bad-split",
    /// Image: it is in no split's list, or `dataset.restval` drops it. It does not count
    /// towards `dataset.max_rejected_fraction`.
    NoSplit = "no-split",
    /// Image or caption: an earlier image, or caption of the same image, has the same id.
    DuplicateId = "duplicate-id",
    /// Image: it has no caption that can be used.
    NoCaption = "no-caption",
    /// Caption: it has only white space and invisible characters.
    EmptyCaption = "empty-caption",
    /// Caption: its image has more captions than an export takes.
    TooMany = "too-many",
    /// Caption: it has more words than `vocab.max_length`.
    TooLong = "too-long",
    /// Caption: it has no words.
    Wordless = "wordless",
    /// Caption or box: its image is not listed, or is listed several times.
    NoImage = "no-image",
    /// Caption or box: it could be used, but its image can't.
    ImageRejected = "image-rejected",
    /// Box: it is not four numbers, or is outside the image.
    BadBox = "bad-box",
    /// Box: its category is not listed.
    NoCategory = "no-category",
    /// Image: it is used, because no pixel is missing, but its file violates its format
    /// (`dataset.refuse_damaged`).
    Damaged = "damaged",
}

/// Rows hold the code as a string, because a table may have reasons of other programs.
impl PartialEq<Reason> for String {
    fn eq(&self, reason: &Reason) -> bool {
        self == reason.code()
    }
}

impl RejectedRecord {
    /// The row of an image.
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

    /// The row of a caption; `file_name` may be empty.
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

    /// The row of an object's box; `id` is the annotation's id.
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

/// The number of rows of things that were left out: all except [`Reason::Damaged`].
pub fn left_out(rows: &[RejectedRecord]) -> u64 {
    let left_out = rows.iter().filter(|row| row.reason != Reason::Damaged);
    left_out.count() as u64
}

/// Logs what was left out, in a few lines.
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
        let reported = |row: &&RejectedRecord| {
            row.kind == kind && row.reason != Reason::ImageRejected && row.reason != Reason::Damaged
        };
        let rows = || rows.iter().filter(reported);
        let Some(first) = rows().next() else { continue };
        tracing::warn!(
            "left out {kinds}: {}; first: {}",
            sums(rows()),
            first.line()
        );
    }
}

/// The number of rows of each reason, for the manifest: `rejected.missing`, …, `damaged`.
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

/// The number of rows of each reason, most frequent first: `2 missing, 1 truncated`.
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
