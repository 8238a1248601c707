//! Encodes pictures as JPEG.

use crate::photograph::Photograph;
use turbojpeg::{Image, PixelFormat, Subsamp};

/// A JPEG of a picture, of this quality (1 to 100), with colours at half the resolution. The
/// same pixels give the same bytes on every machine.
///
/// # Errors
/// Why libjpeg-turbo can't encode it, such as more than 65,500 rows or columns.
pub fn jpeg(picture: &Photograph, quality: u8) -> Result<Vec<u8>, String> {
    let image = Image {
        pixels: picture.rgbx.as_slice(),
        width: picture.width as usize,
        pitch: picture.width as usize * 4,
        height: picture.height as usize,
        format: PixelFormat::RGBX,
    };
    let bytes = turbojpeg::compress(image, quality.into(), Subsamp::Sub2x2);
    bytes.map(|bytes| bytes.to_vec()).map_err(|e| e.to_string())
}
