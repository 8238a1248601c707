//! Photographs in memory: decoding as Pillow's `convert("RGB")` does, resizing
//! as its `resize(…, BILINEAR)` does (with antialiasing), up to rounding.
//!
//! What a decoder makes of a file is one question, what a pipeline makes of a
//! refused file another: here are no files, no artifacts and no log lines.

mod jpeg;
mod load;
mod orientation;
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
    /// Turn the picture as its EXIF orientation says, or else its XMP. The tutorial
    /// and torchvision ignore it. A TIFF is turned always, as in Pillow.
    pub exif_orientation: bool,
    /// Refuse pictures of more pixels, before memory is taken for them.
    pub max_pixels: u64,
    /// Decode JPEGs fast, not exactly, to a half, a quarter or an eighth where
    /// that still has so many columns and rows: pixels are no longer Pillow's.
    pub fast: Option<(u32, u32)>,
    /// Refuse pictures that break their format's rules although every pixel is
    /// there: [`Loaded::damage`].
    pub refuse_damaged: bool,
}

impl Default for DecodeOptions {
    /// No turning, nothing damaged refused; at most 89,478,485 pixels (256 MiB of three bytes, where Pillow
    /// begins to warn of decompression bombs).
    fn default() -> Self {
        DecodeOptions {
            exif_orientation: false,
            max_pixels: 256 * 1024 * 1024 / 3,
            fast: None,
            refuse_damaged: false,
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

/// Decodes JPEG, PNG, WebP, BMP, GIF and TIFF, recognised by their content, to 8-bit
/// RGB as Pillow's `convert("RGB")` does: grey is repeated, a palette looked up, alpha
/// dropped, CMYK and YCCK (of JPEGs inverted, as Adobe writes them) multiplied out
/// without a colour profile, of an animation the first frame. 16-bit channels keep
/// their upper byte (Pillow does so for colour and clips grey at 255, which loses the
/// picture). A TIFF's floats and 32-bit numbers are read where they lie between 0 and
/// 255.
///
/// Pixels and error are a function of `bytes` and `options`, whatever the thread has
/// decoded before. A picture that breaks its format's rules is decoded only if every
/// pixel is there.
///
/// # Errors
/// [`DecodeError`]. A JPEG that ends in its pixels is truncated, as in Pillow, even
/// where libjpeg would fill the rest with grey.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    decode_and_judge(bytes, options).map(|(photograph, _)| photograph)
}

/// A photograph, and what is damaged in its file.
type Decoded = (Photograph, Option<String>);

fn decode_and_judge(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Truncated("the file is empty".into()));
    }
    let decoded = if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg::decode(bytes, options)
    } else {
        other::decode(bytes, options)
    }?;
    match decoded {
        (_, Some(damage)) if options.refuse_damaged => Err(DecodeError::Corrupt(damage)),
        decoded => Ok(decoded),
    }
}

/// What to do with a picture of a kind that is not read here.
const CONVERT: &str = "convert it to JPEG or PNG, with ImageMagick for example";

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

/// CMYK as the file has it, that is inverted (Pillow takes every CMYK JPEG so, and
/// so do the programs that write them), to RGB by Pillow's formula: `k - (255 - c) *
/// k / 255`, rounded.
fn cmyk_to_rgb(pixels: &mut [u8]) {
    for [r, g, b, k] in pixels.as_chunks_mut::<4>().0 {
        let k = u32::from(*k);
        for c in [r, g, b] {
            let t = (255 - u32::from(*c)) * k + 128;
            *c = (k - ((t + (t >> 8)) >> 8)) as u8;
        }
    }
}
