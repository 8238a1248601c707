//! Decodes PNG, WebP and BMP through the `image` crate, and GIF and TIFF through the crates
//! `gif` and `tiff`, which tell more about a picture than `image` passes on.

mod generic;
mod gif;
mod name;
mod png;
mod tiff;

use crate::photograph::{DecodeError, DecodeOptions, Decoded};
use image::ImageFormat;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    // Many small crates read the formats other than JPEG: a panic in one of them costs this
    // picture, not the run.
    catch_unwind(AssertUnwindSafe(|| guarded(bytes, options)))
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("the decoder broke off".into())))
}

fn guarded(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => png::decode(bytes, options),
        Ok(ImageFormat::Gif) => Ok((gif::decode(bytes, options)?, None)),
        _ if tiff::is_tiff(bytes) => Ok((tiff::decode(bytes, options)?, None)),
        Ok(format @ (ImageFormat::WebP | ImageFormat::Bmp)) => {
            if riff_length(bytes).is_some_and(|length| length > bytes.len()) {
                return Err(DecodeError::Truncated(
                    "the file is shorter than its header says".into(),
                ));
            }
            Ok((generic::through_image(bytes, format, options)?, None))
        }
        _ => Err(name::refused(bytes)),
    }
}

/// The file length that a WebP file states in its first bytes.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let (length, _) = rest.split_first_chunk::<4>()?;
    (tag == b"RIFF").then_some(u32::from_le_bytes(*length) as usize + 8)
}
