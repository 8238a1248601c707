//! What a photograph is in memory, how to decode one, and why it can't be decoded.

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
    /// [`crate::Loaded::damage`]).
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

/// A photograph and, if its file is damaged, what is wrong.
pub(crate) type Decoded = (Photograph, Option<String>);

/// Advice for a picture in a format that is not read here.
pub(crate) const CONVERT: &str = "convert it to JPEG or PNG, with ImageMagick for example";

/// Refuses pictures with no pixels or too many.
pub(crate) fn check_size(
    width: u64,
    height: u64,
    options: &DecodeOptions,
) -> Result<(), DecodeError> {
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
pub(crate) fn cmyk_to_rgb(pixels: &mut [u8]) {
    for [r, g, b, k] in pixels.as_chunks_mut::<4>().0 {
        let k = u32::from(*k);
        for c in [r, g, b] {
            let t = (255 - u32::from(*c)) * k + 128;
            *c = (k - ((t + (t >> 8)) >> 8)) as u8;
        }
    }
}
