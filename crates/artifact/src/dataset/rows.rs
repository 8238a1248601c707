//! The rows of a data set's tables.

use crate::record::record;

/// One image of the data set.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRecord {
    /// Identity in the source (COCO's `id`).
    pub image_id: i64,
    /// `train`, `val`, `test`, …
    pub split: String,
    /// Name of the image file in the source.
    pub file_name: String,
    /// Original width in pixels.
    pub width: u32,
    /// Original height in pixels.
    pub height: u32,
    /// The shard that holds its pixels, such as `shards/train-00000.arrow`.
    pub shard: String,
    /// Its row in that shard.
    pub row: u32,
}

record!(ImageRecord {
    image_id: Int64Array as Int64,
    split: StringArray as Utf8,
    file_name: StringArray as Utf8,
    width: UInt32Array as UInt32,
    height: UInt32Array as UInt32,
    shard: StringArray as Utf8,
    row: UInt32Array as UInt32,
});

/// One caption of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionRecord {
    /// Identity in the source.
    pub caption_id: i64,
    /// The image that it describes.
    pub image_id: i64,
    /// The image's split.
    pub split: String,
    /// The text as people wrote it.
    pub caption: String,
}

record!(CaptionRecord {
    caption_id: Int64Array as Int64,
    image_id: Int64Array as Int64,
    split: StringArray as Utf8,
    caption: StringArray as Utf8,
});

/// One object seen in an image, with its box in fractions of the image's width
/// and height, from the left upper corner.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRecord {
    /// The image that it is in.
    pub image_id: i64,
    /// Its category, such as `dog`.
    pub name: String,
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

record!(ObjectRecord {
    image_id: Int64Array as Int64,
    name: StringArray as Utf8,
    x: Float32Array as Float32,
    y: Float32Array as Float32,
    width: Float32Array as Float32,
    height: Float32Array as Float32,
});

/// One image, caption or box that was left out, and why; see [`crate::ledger`].
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRecord {
    /// `image`, `caption` or `box`.
    pub kind: String,
    /// Identity of the image, the caption or the box's annotation.
    pub id: i64,
    /// The image concerned.
    pub image_id: i64,
    /// Name of the image file, empty if unknown.
    pub file_name: String,
    /// A stable reason code, such as `truncated` ([`crate::ledger::Reason`]).
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
}

record!(RejectedRecord {
    kind: StringArray as Utf8,
    id: Int64Array as Int64,
    image_id: Int64Array as Int64,
    file_name: StringArray as Utf8,
    reason: StringArray as Utf8,
    detail: StringArray as Utf8,
});
