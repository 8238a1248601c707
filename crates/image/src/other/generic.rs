//! Decoding through the `image` crate, and what the other decoders share with it.

use crate::orientation;
use crate::photograph::{DecodeError, DecodeOptions, Photograph, check_size};
use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::{Cursor, ErrorKind};

/// Decodes with the `image` crate.
pub(super) fn through_image(
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
pub(super) fn upper(channel: u16) -> u8 {
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
pub(super) fn broken(message: String) -> DecodeError {
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
