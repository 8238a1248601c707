//! From an image file to the pixels of the data set, or to a reason why not.

use crate::config::Section;
use attend_image::{DecodeOptions, decode, resize, to_planar};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// A file of more bytes is no photograph.
const MAX_BYTES: u64 = 1 << 30;

/// A photograph, decoded and resized.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Original width in pixels.
    pub width: u32,
    /// Original height in pixels.
    pub height: u32,
    /// uint8 [3, size, size].
    pub pixels: Vec<u8>,
    /// BLAKE3 of the file, its first 32 digits: whether it has changed since.
    pub source: String,
}

/// Why a photograph can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A reason code of [`crate::ledger`].
    pub reason: String,
    /// What exactly was wrong; without paths, which differ between machines.
    pub detail: String,
}

/// Reads, decodes and resizes the image file at `path`.
///
/// # Errors
/// The reason why it can't be used.
pub fn load(path: &Path, section: &Section) -> Result<Loaded, Refusal> {
    let bytes = read(path)?;
    let options = DecodeOptions {
        exif_orientation: section.exif_orientation,
        max_pixels: section.max_pixels,
    };
    let photograph = decode(&bytes, &options).map_err(|e| refuse(e.code(), e))?;
    let size = section.image_size;
    let pixels = to_planar(&resize(&photograph, size, size), size, size);
    Ok(Loaded {
        width: photograph.width,
        height: photograph.height,
        pixels,
        source: blake3::hash(&bytes).to_hex()[..32].to_owned(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    // Asked before opening: opening a named pipe would wait for its writer.
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(refuse("unreadable", "not a regular file"));
    }
    if meta.len() > MAX_BYTES {
        return Err(refuse(
            "too-large",
            format!("{} bytes, more than {MAX_BYTES}", meta.len()),
        ));
    }
    std::fs::read(path).map_err(failed)
}

fn failed(error: std::io::Error) -> Refusal {
    match error.kind() {
        // A file where a folder should be: the file in it is missing, too.
        ErrorKind::NotFound | ErrorKind::NotADirectory => refuse("missing", "no such file"),
        _ => refuse("unreadable", error),
    }
}

fn refuse(reason: &str, detail: impl ToString) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        detail: detail.to_string(),
    }
}
