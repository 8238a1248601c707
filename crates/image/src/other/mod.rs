//! Decodes PNG, WebP and BMP through the `image` crate, and GIF and TIFF through the crates
//! `gif` and `tiff`, which tell more about a picture than `image` passes on.

mod gif;
mod name;
mod png;
mod tiff;

use crate::orientation;
use crate::photograph::{DecodeError, DecodeOptions, Decoded, Photograph, check_size};
use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::{Cursor, ErrorKind};
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
            Ok((through_image(bytes, format, options)?, None))
        }
        _ => Err(name::refused(bytes)),
    }
}

/// Decodes with the `image` crate.
fn through_image(
    bytes: &[u8],
    format: ImageFormat,
    options: &DecodeOptions,
) -> Result<Photograph, DecodeError> {
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format)
        .into_decoder()
        .map_err(refused)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into(), options)?;
    let mut limits = image::Limits::default();
    // RGBA of 16 bits, twice: the picture and a decoder's buffers.
    limits.max_alloc = Some(options.max_pixels.saturating_mul(16));
    decoder.set_limits(limits).map_err(refused)?;
    let mut orientation = None;
    if options.exif_orientation {
        let exif = decoder.exif_metadata().ok().flatten();
        let exif = exif.as_deref();
        let exif = exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
        let xmp = decoder.xmp_metadata().ok().flatten();
        orientation = orientation::find(exif, xmp.as_deref());
    }
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    let photograph = Photograph {
        width,
        height,
        full: (width, height),
        rgbx: rgbx(image),
    };
    orientation::turned(photograph, orientation)
}

/// The file length that a WebP file states in its first bytes.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let (length, _) = rest.split_first_chunk::<4>()?;
    (tag == b"RIFF").then_some(u32::from_le_bytes(*length) as usize + 8)
}

/// Converts any pixel type to (H, W, 4); [`crate::decode`] has the rules.
fn rgbx(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
            let grey = image.into_luma16().into_raw();
            grey.into_iter()
                .flat_map(|value| [upper(value); 4])
                .collect()
        }
        DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => image
            .into_rgba16()
            .into_raw()
            .into_iter()
            .map(upper)
            .collect(),
        _ => image.into_rgba8().into_raw(),
    }
}

/// The upper byte of a channel.
fn upper(channel: u16) -> u8 {
    (channel >> 8) as u8
}

fn refused(error: ImageError) -> DecodeError {
    let message = error.to_string();
    match error {
        ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(message)
        }
        ImageError::Unsupported(_) => DecodeError::Unsupported(message),
        ImageError::Limits(_) => DecodeError::Unsupported(message),
        _ => broken(message),
    }
}

/// [`DecodeError::Truncated`] if the decoder's message says so, otherwise
/// [`DecodeError::Corrupt`].
fn broken(message: String) -> DecodeError {
    let ends_early = [
        "unexpected end",
        "unexpected eof",
        "failed to fill whole buffer",
    ];
    let lower = message.to_lowercase();
    if ends_early.iter().any(|phrase| lower.contains(phrase)) {
        DecodeError::Truncated(message)
    } else {
        DecodeError::Corrupt(message)
    }
}
