//! From an image file to the pixels of the data set, or to a reason why not.

use crate::config::Section;
use crate::source::Source;
use attend_image::{DecodeOptions, decode, resize, to_planar};
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
}

/// Why a photograph can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A reason code of [`crate::ledger`].
    pub reason: String,
    /// What exactly was wrong; without paths, which differ between machines.
    pub detail: String,
}

impl Refusal {
    /// A refusal for `reason`.
    pub fn new(reason: &str, detail: impl ToString) -> Self {
        Refusal {
            reason: reason.to_owned(),
            detail: detail.to_string(),
        }
    }
}

/// Reads, decodes and resizes the photograph `file_name`.
///
/// # Errors
/// The reason why it can't be used.
pub fn load(source: &Source, file_name: &str, section: &Section) -> Result<Loaded, Refusal> {
    let bytes = source.read(file_name)?;
    let options = DecodeOptions {
        exif_orientation: section.exif_orientation,
        max_pixels: section.max_pixels,
    };
    let photograph = decode(&bytes, &options).map_err(|e| Refusal::new(e.code(), e))?;
    let size = section.image_size;
    let pixels = to_planar(&resize(&photograph, size, size), size, size);
    Ok(Loaded {
        width: photograph.width,
        height: photograph.height,
        pixels,
    })
}
