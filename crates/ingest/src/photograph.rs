//! From an image file to the pixels of the data set, or to a reason why not.

use crate::config::{Format, Section};
use crate::source::Source;
use attend_image::{DecodeError, DecodeOptions};
use serde::{Deserialize, Serialize};

/// A photograph, decoded and resized.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Original width in pixels.
    pub width: u32,
    /// Original height in pixels.
    pub height: u32,
    /// uint8 [3, size, size].
    pub pixels: Vec<u8>,
    /// CRC-32C and length of the file: whether it has changed since.
    pub source: String,
    /// What is damaged in the file although every pixel is there.
    pub damage: Option<String>,
}

/// Why a photograph can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A reason code of [`crate::ledger`].
    pub reason: String,
    /// What exactly was wrong; without paths, which differ between machines.
    pub detail: String,
}

/// Reads, decodes and resizes a photograph.
///
/// # Errors
/// The reason why it can't be used.
pub fn load(source: &Source, file_name: &str, section: &Section) -> Result<Loaded, Refusal> {
    let bytes = source.read(file_name)?;
    let size = section.image_size;
    let source = format!("{:08x} {}", crc32c::crc32c(&bytes), bytes.len());
    if section.format == Format::Hdf5 {
        // Decoded and resized by whoever wrote the file.
        return Ok(Loaded {
            width: size,
            height: size,
            pixels: bytes,
            source,
            damage: None,
        });
    }
    let options = DecodeOptions {
        exif_orientation: section.exif_orientation,
        max_pixels: section.max_pixels,
        fast: section.fast.then_some((size, size)),
        refuse_damaged: section.refuse_damaged,
    };
    let loaded = attend_image::load(&bytes, &options, size, size);
    let loaded = loaded.map_err(|e| match e {
        DecodeError::TooLarge { .. } => {
            refuse(e.code(), format!("{e}: dataset.max_pixels allows more"))
        }
        e => refuse(e.code(), e),
    })?;
    Ok(Loaded {
        width: loaded.width,
        height: loaded.height,
        pixels: loaded.planar,
        source,
        damage: loaded.damage,
    })
}

/// A refusal, with a reason of the ledger's list.
pub fn refuse(reason: &str, detail: impl ToString) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        detail: detail.to_string(),
    }
}
