//! Decodes JPEG through libjpeg-turbo.

mod mend;
mod segments;

use crate::orientation;
use crate::photograph::{
    CONVERT, DecodeError, DecodeOptions, Decoded, Photograph, check_size, cmyk_to_rgb,
};
use std::cell::RefCell;
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor};

/// Maximum number of scans in a progressive JPEG. Encoders write about ten; thousands are
/// a denial-of-service attack.
const MAX_SCANS: u32 = 500;

thread_local! {
    /// The buffer of an earlier image, to be reused.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a photograph's buffer for the thread's next one.
pub fn reuse(pixels: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| *spare = pixels);
}

/// Accepts only a decode without any warning from libjpeg, which reports only the first:
/// after a harmless warning, half of the picture may be missing. So this repairs in the
/// bytes what libjpeg can tolerate and decodes them once more.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let (photograph, damage) = match decode_strictly(bytes, options) {
        Ok(photograph) => (photograph, None),
        Err(error @ DecodeError::TooLarge { .. }) => return Err(error),
        Err(error) => mend::decode(bytes, error, |mended| decode_strictly(mended, options))?,
    };
    if !options.exif_orientation {
        return Ok((photograph, damage));
    }
    let orientation = segments::orientation(bytes);
    Ok((orientation::turned(photograph, orientation)?, damage))
}

/// Creates a decompressor for each file, because a used one keeps tables and, after an
/// error, its position. This costs next to nothing: libjpeg frees its large buffers after
/// each picture anyway.
fn decode_strictly(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    let mut decoder = Decompressor::new().map_err(refused)?;
    decoder.set_scan_limit(MAX_SCANS).map_err(refused)?;
    decoder
        .set_fast_upsample(options.fast.is_some())
        .map_err(refused)?;
    let header = decoder.read_header(bytes).map_err(refused)?;
    check_size(header.width as u64, header.height as u64, options)?;

    let cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    // As fast as RGBX, but with a fourth byte that depends on the file alone.
    let format = if cmyk {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGBA
    };
    let scale = scale(&header, options);
    decoder.set_scaling_factor(scale).map_err(refused)?;
    let (width, height) = (scale.scale(header.width), scale.scale(header.height));
    let mut pixels = SPARE.with_borrow_mut(std::mem::take);
    pixels.resize(width * height * format.size(), 0);
    let image = Image {
        pixels: pixels.as_mut_slice(),
        width,
        pitch: width * format.size(),
        height,
        format,
    };
    if let Err(error) = decoder.decompress(bytes, image) {
        reuse(pixels);
        return Err(refused(error));
    }
    if cmyk {
        cmyk_to_rgb(&mut pixels);
    }
    Ok(Photograph {
        width: width as u32,
        height: height as u32,
        full: (header.width as u32, header.height as u32),
        rgbx: pixels,
    })
}

/// The smallest scale with at least the required columns and rows, among those at which
/// libjpeg is faster than at full size.
fn scale(header: &DecompressHeader, options: &DecodeOptions) -> ScalingFactor {
    // Lossless JPEGs have no scales.
    let Some((columns, rows)) = options.fast.filter(|_| !header.is_lossless) else {
        return ScalingFactor::ONE;
    };
    let covers = |scale: &ScalingFactor| {
        scale.scale(header.width) >= columns as usize && scale.scale(header.height) >= rows as usize
    };
    let scales = [
        ScalingFactor::ONE_EIGHTH,
        ScalingFactor::ONE_QUARTER,
        ScalingFactor::ONE_HALF,
    ];
    scales
        .into_iter()
        .find(covers)
        .unwrap_or(ScalingFactor::ONE)
}

fn refused(error: turbojpeg::Error) -> DecodeError {
    let message = match error {
        // libjpeg gives its size as -1.
        turbojpeg::Error::IntegerOverflow(_) => "a JPEG of tables, without a picture".into(),
        error => error.to_string(),
    };
    let not_read = ["nsupported", "implemented"];
    if not_read.iter().any(|phrase| message.contains(phrase)) {
        DecodeError::Unsupported(format!("{message}: {CONVERT}"))
    } else if message.contains("remature end") {
        DecodeError::Truncated(message)
    } else {
        DecodeError::Corrupt(message)
    }
}
