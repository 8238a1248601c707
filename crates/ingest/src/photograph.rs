//! From an image file to the pixels of the data set, or to a reason why not.

use crate::config::Section;
use attend_image::DecodeOptions;
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
    /// CRC-32C and length of the file: whether it has changed since.
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
    let size = section.image_size;
    let options = DecodeOptions {
        exif_orientation: section.exif_orientation,
        max_pixels: section.max_pixels,
        fast: section.fast.then_some((size, size)),
    };
    let loaded = attend_image::load(&bytes, &options, size, size);
    let loaded = loaded.map_err(|e| refuse(e.code(), e))?;
    Ok(Loaded {
        width: loaded.width,
        height: loaded.height,
        pixels: loaded.planar,
        source: format!("{:08x} {}", crc32c::crc32c(&bytes), bytes.len()),
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
