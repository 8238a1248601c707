//! Photographs in memory: decoding as Pillow's `convert("RGB")` does, resizing
//! as its `resize(…, BILINEAR)` does (with antialiasing), up to rounding.
//!
//! What a decoder makes of a file is one question, what a pipeline makes of a
//! refused file another: here are no files, no artifacts and no log lines.

mod jpeg;
mod load;
mod other;
mod resize;

pub use load::{Loaded, load};
pub use resize::{resize, to_planar};

/// A decoded photograph, at its full size unless [`DecodeOptions::fast`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photograph {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Columns and rows of the file.
    pub full: (u32, u32),
    /// uint8 (H, W, 4): red, green, blue and a byte without meaning. Pixels of four
    /// bytes are unpacked and resized faster than those of three.
    pub rgbx: Vec<u8>,
}

/// How to decode.
#[derive(Clone, Copy, Debug)]
pub struct DecodeOptions {
    /// Turn the picture as its EXIF orientation says. The tutorial and
    /// torchvision ignore it.
    pub exif_orientation: bool,
    /// Refuse pictures of more pixels, before memory is taken for them.
    pub max_pixels: u64,
    /// Decode JPEGs fast, not exactly, to a half, a quarter or an eighth where
    /// that still has so many columns and rows: pixels are no longer Pillow's.
    pub fast: Option<(u32, u32)>,
}

impl Default for DecodeOptions {
    /// No turning; at most 89,478,485 pixels (256 MiB of three bytes, where Pillow
    /// begins to warn of decompression bombs).
    fn default() -> Self {
        DecodeOptions {
            exif_orientation: false,
            max_pixels: 256 * 1024 * 1024 / 3,
            fast: None,
        }
    }
}

/// Why bytes are no usable photograph.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file ends before the picture does.
    #[error("{0}")]
    Truncated(String),
    /// The file is whole, but its content breaks its format.
    #[error("{0}")]
    Corrupt(String),
    /// No known format, or a part of one that no decoder here knows.
    #[error("{0}")]
    Unsupported(String),
    /// More pixels than [`DecodeOptions::max_pixels`].
    #[error("{width} x {height} pixels, more than {limit} in all")]
    TooLarge {
        /// Columns.
        width: u64,
        /// Rows.
        height: u64,
        /// The limit that was in force.
        limit: u64,
    },
}

impl DecodeError {
    /// The stable reason code: `truncated`, `corrupt`, `unsupported` or
    /// `too-large`.
    pub fn code(&self) -> &'static str {
        match self {
            DecodeError::Truncated(_) => "truncated",
            DecodeError::Corrupt(_) => "corrupt",
            DecodeError::Unsupported(_) => "unsupported",
            DecodeError::TooLarge { .. } => "too-large",
        }
    }
}

/// Decodes any image that libjpeg-turbo or the `image` crate reads, recognised
/// by its content, to 8-bit RGB as Pillow's `convert("RGB")` does: grey is
/// repeated, a palette looked up, alpha dropped, CMYK and YCCK (inverted, as
/// Adobe writes them) multiplied out without a colour profile, of an animation
/// the first frame. 16-bit channels keep their upper byte (Pillow does so for
/// colour and clips grey at 255, which loses the picture).
///
/// # Errors
/// [`DecodeError`]. A JPEG without its end is truncated, as in Pillow, even
/// where libjpeg would fill the rest with grey.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Truncated("the file is empty".into()));
    }
    if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg::decode(bytes, options)
    } else {
        other::decode(bytes, options)
    }
}

/// Refuses too many pixels.
fn check_size(width: u64, height: u64, options: &DecodeOptions) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Corrupt(format!("{width} x {height} pixels")));
    }
    if width.saturating_mul(height) > options.max_pixels {
        return Err(DecodeError::TooLarge {
            width,
            height,
            limit: options.max_pixels,
        });
    }
    Ok(())
}
