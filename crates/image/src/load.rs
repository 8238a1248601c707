//! From a file's bytes to the pixels that a data set holds.

use crate::decode::decode_and_assess;
use crate::jpeg;
use crate::photograph::{DecodeError, DecodeOptions};
use crate::resize::resize_into;
use crate::resize::to_planar;
use std::cell::RefCell;

thread_local! {
    static RESIZED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A photograph in the form that a data set holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Columns of the picture in the file.
    pub width: u32,
    /// Rows of the picture in the file.
    pub height: u32,
    /// uint8 (3, H, W), red first.
    pub planar: Vec<u8>,
    /// How the file breaks its format's rules although every pixel is there: a missing end,
    /// a wrong checksum or restart marker. `None` if it does not.
    pub damage: Option<String>,
}

/// Decodes (see [`decode`](crate::decode)), resizes to `height` x `width` and orders the
/// pixels by [`to_planar`]. Each thread keeps its buffers for the next image.
///
/// # Errors
/// Those of [`decode`](crate::decode).
pub fn load(
    bytes: &[u8],
    options: &DecodeOptions,
    height: u32,
    width: u32,
) -> Result<Loaded, DecodeError> {
    let (photograph, damage) = decode_and_assess(bytes, options)?;
    let planar = RESIZED.with_borrow_mut(|resized| {
        resize_into(&photograph, height, width, resized);
        to_planar(resized, height, width)
    });
    let loaded = Loaded {
        width: photograph.full.0,
        height: photograph.full.1,
        planar,
        damage,
    };
    jpeg::reuse(photograph.rgbx);
    Ok(loaded)
}
