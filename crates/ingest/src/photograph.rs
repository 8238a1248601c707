//! Turns an image file into pixels of the data set's size, or returns the reason why it
//! can't.

use crate::config::Section;
use crate::reference::{Reference, Refusal, refuse};
use crate::source::Source;
use attend_artifact::ledger::Reason;
use attend_image::{DecodeError, DecodeOptions};

/// A photograph, decoded and resized.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Original width in pixels.
    pub width: u32,
    /// Original height in pixels.
    pub height: u32,
    /// uint8 [3, size, size].
    pub pixels: Vec<u8>,
    /// CRC-32C and length of the file, to notice changes.
    pub source: String,
    /// Damage of the file that affects no pixel.
    pub damage: Option<String>,
}

/// Reads, decodes and resizes a photograph.
///
/// # Errors
/// The reason why it can't be used.
pub fn load(source: &Source, photograph: &Reference, section: &Section) -> Result<Loaded, Refusal> {
    let bytes = source.read(photograph)?;
    let size = section.image_size;
    let options = DecodeOptions {
        exif_orientation: section.exif_orientation,
        max_pixels: section.max_pixels,
        fast: section.fast.then_some((size, size)),
        refuse_damaged: section.refuse_damaged,
    };
    let loaded = attend_image::load(&bytes, &options, size, size).map_err(|e| undecoded(&e))?;
    Ok(Loaded {
        width: loaded.width,
        height: loaded.height,
        pixels: loaded.planar,
        source: format!("{:08x} {}", crc32c::crc32c(&bytes), bytes.len()),
        damage: loaded.damage,
    })
}

fn undecoded(error: &DecodeError) -> Refusal {
    match error {
        DecodeError::Truncated(_) => refuse(Reason::Truncated, error),
        DecodeError::Corrupt(_) => refuse(Reason::Corrupt, error),
        DecodeError::Unsupported(_) => refuse(Reason::Unsupported, error),
        DecodeError::TooLarge { .. } => refuse(
            Reason::TooLarge,
            format!("{error}: dataset.max_pixels allows more"),
        ),
    }
}
