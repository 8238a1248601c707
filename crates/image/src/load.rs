//! From a file's bytes to what a data set holds, for one image after the other.

use crate::resize::resize_into;
use crate::{DecodeError, DecodeOptions, decode_and_judge, jpeg, to_planar};
use std::cell::RefCell;

thread_local! {
    static RESIZED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A photograph as a data set holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Columns of the file.
    pub width: u32,
    /// Rows of the file.
    pub height: u32,
    /// uint8 (3, H, W), red first.
    pub planar: Vec<u8>,
    /// What in the file breaks its format's rules although every pixel is there: a
    /// missing end, a wrong checksum or restart marker.
    pub damage: Option<String>,
}

/// [`decode`](crate::decode), [`resize`](crate::resize) to `height` x `width`, [`to_planar`]. The
/// thread keeps the memory in between for the next image.
///
/// # Errors
/// As [`decode`](crate::decode).
pub fn load(
    bytes: &[u8],
    options: &DecodeOptions,
    height: u32,
    width: u32,
) -> Result<Loaded, DecodeError> {
    let (photograph, damage) = decode_and_judge(bytes, options)?;
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
    jpeg::keep(photograph.rgbx);
    Ok(loaded)
}
