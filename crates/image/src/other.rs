//! PNG, WebP, GIF, BMP and TIFF through the `image` crate.

use crate::{DecodeError, DecodeOptions, Photograph, check_size};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbaImage};
use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    // Formats beyond JPEG are read by many small crates: a slip in one of them
    // costs this picture, not the run.
    catch_unwind(AssertUnwindSafe(|| guarded(bytes, options)))
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("the decoder broke off".into())))
}

fn guarded(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| refused(ImageError::IoError(e)))?;
    if reader.format().is_none() {
        return Err(DecodeError::Unsupported(
            "not an image of a known format".into(),
        ));
    }
    if riff_length(bytes).is_some_and(|length| length > bytes.len()) {
        return Err(DecodeError::Truncated(
            "the file is shorter than its header says".into(),
        ));
    }
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into(), options)?;
    let mut limits = image::Limits::default();
    // RGBA of 16 bits, twice: the picture and what a decoder puts aside.
    limits.max_alloc = Some(options.max_pixels.saturating_mul(16));
    decoder.set_limits(limits).map_err(refused)?;
    let orientation = decoder
        .orientation()
        .ok()
        .filter(|_| options.exif_orientation);
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    let photograph = Photograph {
        width,
        height,
        full: (width, height),
        rgbx: rgbx(image),
    };
    match orientation {
        Some(orientation) => turned(photograph, orientation),
        None => Ok(photograph),
    }
}

/// The length that a WebP file states in its first bytes.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let (length, _) = rest.split_first_chunk::<4>()?;
    (tag == b"RIFF").then_some(u32::from_le_bytes(*length) as usize + 8)
}

/// (H, W, 4) of any pixel type; see [`crate::decode`] for the rules.
fn rgbx(image: DynamicImage) -> Vec<u8> {
    let upper = |channel: u16| (channel >> 8) as u8;
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

/// The photograph as its EXIF orientation wants it seen.
pub fn turned(photograph: Photograph, orientation: Orientation) -> Result<Photograph, DecodeError> {
    let Photograph {
        width,
        height,
        full,
        rgbx,
    } = photograph;
    let lies = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let image = RgbaImage::from_raw(width, height, rgbx)
        .ok_or_else(|| DecodeError::Corrupt(format!("not {width} x {height} pixels")))?;
    let mut image = DynamicImage::ImageRgba8(image);
    image.apply_orientation(orientation);
    Ok(Photograph {
        width: image.width(),
        height: image.height(),
        full: if lies { (full.1, full.0) } else { full },
        rgbx: image.into_rgba8().into_raw(),
    })
}

fn refused(error: ImageError) -> DecodeError {
    let message = error.to_string();
    let ends_early = |text: &str| {
        [
            "unexpected end",
            "unexpected eof",
            "failed to fill whole buffer",
        ]
        .iter()
        .any(|phrase| text.to_lowercase().contains(phrase))
    };
    match error {
        ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(message)
        }
        ImageError::Unsupported(_) => DecodeError::Unsupported(message),
        ImageError::Limits(_) => DecodeError::Unsupported(message),
        _ if ends_early(&message) => DecodeError::Truncated(message),
        _ => DecodeError::Corrupt(message),
    }
}
