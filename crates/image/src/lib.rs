//! Photographs in memory: decodes like Pillow's `convert("RGB")` and resizes like its
//! `resize(…, BILINEAR)` (with antialiasing), up to rounding.
//!
//! This crate decides what a file's pixels are, not what a pipeline does with a file that
//! is refused: it opens no files, knows no artifacts and logs nothing.
//!
//! | module | what it does |
//! |---|---|
//! | `load` | [`load()`]: decodes, resizes and orders the pixels as a data set holds them |
//! | `jpeg` | decodes JPEG through libjpeg-turbo, and repairs files that break the format's rules but have every pixel |
//! | `other` | decodes PNG, WebP, BMP, GIF and TIFF, and says what any other file is |
//! | `orientation` | finds the orientation in EXIF and XMP, and turns the picture |
//! | `resize` | [`resize()`] and [`to_planar`] |

mod jpeg;
mod load;
mod orientation;
mod other;
mod resize;

pub use load::{Loaded, load};
pub use resize::{resize, to_planar};

/// A decoded photograph, at its full size unless [`DecodeOptions::fast`] is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photograph {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Columns and rows of the picture in the file.
    pub full: (u32, u32),
    /// uint8 (H, W, 4): red, green, blue and a meaningless byte. Pixels of four bytes are
    /// unpacked and resized faster than those of three.
    pub rgbx: Vec<u8>,
}

/// How to decode.
#[derive(Clone, Copy, Debug)]
pub struct DecodeOptions {
    /// Turn the picture by the orientation in its EXIF, or else its XMP. The tutorial and
    /// torchvision ignore the orientation. A TIFF is always turned, as in Pillow.
    pub exif_orientation: bool,
    /// Refuse pictures with more pixels than this, before allocating memory for them.
    pub max_pixels: u64,
    /// Decode JPEGs faster, with pixels that differ from Pillow's: to a half, a quarter or
    /// an eighth of their size, if that still has at least these columns and rows.
    pub fast: Option<(u32, u32)>,
    /// Refuse pictures that break their format's rules even if every pixel is there (see
    /// [`Loaded::damage`]).
    pub refuse_damaged: bool,
}

impl Default for DecodeOptions {
    /// Doesn't turn pictures or refuse damaged ones; at most 89,478,485 pixels (256 MiB at
    /// three bytes each, from which Pillow warns of decompression bombs).
    fn default() -> Self {
        DecodeOptions {
            exif_orientation: false,
            max_pixels: 256 * 1024 * 1024 / 3,
            fast: None,
            refuse_damaged: false,
        }
    }
}

/// Why bytes are not a usable photograph.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file ends before the picture does.
    #[error("{0}")]
    Truncated(String),
    /// The file is whole, but its content breaks its format.
    #[error("{0}")]
    Corrupt(String),
    /// An unknown format, or a variant of a known one that no decoder here supports.
    #[error("{0}")]
    Unsupported(String),
    /// More pixels than [`DecodeOptions::max_pixels`].
    #[error("{width} x {height} pixels, more than {limit} in all")]
    TooLarge {
        /// Columns.
        width: u64,
        /// Rows.
        height: u64,
        /// The limit that applied.
        limit: u64,
    },
}

impl DecodeError {
    /// The stable reason code: `truncated`, `corrupt`, `unsupported` or `too-large`.
    pub fn code(&self) -> &'static str {
        match self {
            DecodeError::Truncated(_) => "truncated",
            DecodeError::Corrupt(_) => "corrupt",
            DecodeError::Unsupported(_) => "unsupported",
            DecodeError::TooLarge { .. } => "too-large",
        }
    }
}

/// Decodes JPEG, PNG, WebP, BMP, GIF and TIFF, recognised by their content, to 8-bit RGB
/// like Pillow's `convert("RGB")`:
///
/// - grey is repeated, a palette looked up, alpha dropped;
/// - CMYK and YCCK (inverted in JPEGs, as Adobe writes them) are converted by a product,
///   without a colour profile;
/// - an animation gives its first frame;
/// - 16-bit channels keep their upper byte (Pillow does so for colour, but clips grey at
///   255, which loses the picture);
/// - a TIFF's floats and 32-bit numbers must lie between 0 and 255.
///
/// Pixels and errors are a function of `bytes` and `options`, whatever the thread decoded
/// before. A picture that breaks its format's rules is decoded only if every pixel is
/// there.
///
/// # Errors
/// [`DecodeError`]. A JPEG that ends within its pixels is truncated, as in Pillow, even if
/// libjpeg would fill the rest with grey.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    decode_and_assess(bytes, options).map(|(photograph, _)| photograph)
}

/// A photograph and, if its file is damaged, what is wrong.
type Decoded = (Photograph, Option<String>);

fn decode_and_assess(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
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

/// Advice for a picture in a format that is not read here.
const CONVERT: &str = "convert it to JPEG or PNG, with ImageMagick for example";

/// Refuses pictures with no pixels or too many.
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

/// Converts inverted CMYK to RGB by Pillow's formula: `k - (255 - c) * k / 255`, rounded.
/// CMYK JPEGs hold inverted values: Pillow, and the programs that write them, assume so.
fn cmyk_to_rgb(pixels: &mut [u8]) {
    for [r, g, b, k] in pixels.as_chunks_mut::<4>().0 {
        let k = u32::from(*k);
        for c in [r, g, b] {
            let t = (255 - u32::from(*c)) * k + 128;
            *c = (k - ((t + (t >> 8)) >> 8)) as u8;
        }
    }
}
