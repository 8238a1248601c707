//! Decodes TIFF: the first page, in every variant that the `tiff` crate supports.

use super::generic::{broken, upper};
use crate::orientation::{self, Entry};
use crate::photograph::{DecodeError, DecodeOptions, Photograph, check_size, cmyk_to_rgb};
use std::borrow::Cow;
use std::io::{Cursor, ErrorKind};
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError, TiffUnsupportedError};

const COMPRESSION: u16 = 259;
const UNPACKED: u64 = 1;
const JPEG: u64 = 7;
const PHOTOMETRIC: u16 = 262;
const BLACK_IS_ZERO: u64 = 1;
const PALETTE: u64 = 3;
const PLANES: u16 = 284;
const TILES: u16 = 322;
const SUB_DIRECTORIES: u16 = 330;
const EXTRA_SAMPLES: u16 = 338;
const DNG_VERSION: u16 = 50706;

/// Whether the bytes are a TIFF or BigTIFF.
pub fn is_tiff(bytes: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    magic.iter().any(|magic| bytes.starts_with(magic))
}

pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    if is_raw(bytes) {
        return Err(unsupported("a camera's raw data, with a small preview"));
    }
    let number = |tag| Entry::find(bytes, tag)?.number(bytes);
    if number(PLANES) == Some(2) && Entry::find(bytes, TILES).is_some() {
        return Err(unsupported("a TIFF with tiles of one channel each"));
    }
    let quirks = Quirks {
        unpacked: matches!(number(COMPRESSION), None | Some(UNPACKED)),
        jpeg: number(COMPRESSION) == Some(JPEG),
        premultiplied: number(EXTRA_SAMPLES) == Some(1),
    };
    let (bytes, palette) = indices_as_grey(bytes);
    let mut decoder = Decoder::new(Cursor::new(&*bytes)).map_err(refused)?;
    let (width, height) = decoder.dimensions().map_err(refused)?;
    check_size(width.into(), height.into(), options)?;
    let mut limits = Limits::default();
    // RGBA of 32 bits per channel.
    let most = options.max_pixels.saturating_mul(16).try_into();
    limits.decoding_buffer_size = most.unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let mut decoder = decoder.with_limits(limits);
    let colour = decoder.colortype().map_err(refused)?;
    let map = match palette {
        true => decoder.get_tag_u16_vec(Tag::ColorMap).map_err(refused)?,
        false => Vec::new(),
    };
    let mut data = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut data).map_err(refused)?;
    let samples = Samples {
        values: values(data, &layout, colour, width, palette)?,
        pixels: width as usize * height as usize,
        planes: layout.planes.max(1),
    };
    let photograph = Photograph {
        width,
        height,
        full: (width, height),
        rgbx: rgbx(&samples, colour, &map, quirks)?,
    };
    // In TIFF the orientation is the order of rows and columns, so Pillow always turns.
    let xmp = decoder.get_tag_u8_vec(Tag::Unknown(700)).ok();
    let orientation = orientation::find(Some(&bytes), xmp.as_deref());
    orientation::turned(photograph, orientation)
}

/// Whether this is a camera's raw format: a TIFF whose first page is a preview.
fn is_raw(bytes: &[u8]) -> bool {
    let number = |tag| Entry::find(bytes, tag)?.number(bytes);
    let preview = number(254).is_some_and(|subfile| subfile & 1 == 1);
    bytes.get(8..10) == Some(b"CR")
        || Entry::find(bytes, DNG_VERSION).is_some()
        || (preview && Entry::find(bytes, SUB_DIRECTORIES).is_some())
}

/// Declares a palette image to be grey, so that the `tiff` crate, which refuses palettes,
/// returns the indices. Says whether it was one.
fn indices_as_grey(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let photometric = Entry::find(bytes, PHOTOMETRIC);
    let Some(entry) = photometric.filter(|entry| entry.number(bytes) == Some(PALETTE)) else {
        return (bytes.into(), false);
    };
    let mut grey = bytes.to_vec();
    entry.set_number(&mut grey, BLACK_IS_ZERO);
    (grey.into(), true)
}

/// Samples of 8 bits, one plane after another.
struct Samples {
    values: Vec<u8>,
    pixels: usize,
    planes: usize,
}

impl Samples {
    /// The first `N` channels of each pixel.
    fn channels<const N: usize>(&self) -> Result<impl Iterator<Item = [u8; N]>, DecodeError> {
        let plane = self.values.len() / self.planes;
        let each = plane / self.pixels;
        let (pixel, channel) = match self.planes {
            1 => (each, 1),
            _ => (1, plane),
        };
        let last = (self.pixels - 1) * pixel + (N - 1) * channel;
        if each == 0 || last >= self.values.len() {
            return Err(DecodeError::Corrupt("fewer samples than pixels".into()));
        }
        Ok((0..self.pixels)
            .map(move |i| std::array::from_fn(|c| self.values[i * pixel + c * channel])))
    }
}

/// All samples, scaled to 8 bits each; palette indices unchanged.
fn values(
    data: DecodingResult,
    layout: &BufferLayoutPreference,
    colour: ColorType,
    width: u32,
    palette: bool,
) -> Result<Vec<u8>, DecodeError> {
    let bits = colour.bit_depth();
    match data {
        DecodingResult::U8(values) if bits == 8 => Ok(values),
        DecodingResult::U8(packed) if matches!((colour, bits), (ColorType::Gray(_), 1 | 2 | 4)) => {
            let most = (1_u8 << bits) - 1;
            let scale = if palette { 1 } else { 255 / most };
            let row = layout.row_stride.map_or(packed.len(), usize::from);
            let unpacked = |row: &[u8]| -> Vec<u8> {
                let each = |byte: &u8| {
                    let byte = *byte;
                    (0..8 / bits)
                        .rev()
                        .map(move |i| (byte >> (i * bits) & most) * scale)
                };
                row.iter().flat_map(each).take(width as usize).collect()
            };
            Ok(packed.chunks_exact(row.max(1)).flat_map(unpacked).collect())
        }
        DecodingResult::U16(values) if bits == 16 && !palette => {
            Ok(values.into_iter().map(upper).collect())
        }
        DecodingResult::U32(values) if is_grey(colour) => {
            clipped(values.iter().map(|v| f64::from(*v)))
        }
        DecodingResult::I32(values) if is_grey(colour) => {
            clipped(values.iter().map(|v| f64::from(*v)))
        }
        DecodingResult::I16(values) if is_grey(colour) => {
            clipped(values.iter().map(|v| f64::from(*v)))
        }
        DecodingResult::F32(values) if is_grey(colour) => {
            clipped(values.iter().map(|v| f64::from(*v)))
        }
        DecodingResult::F64(values) if is_grey(colour) => clipped(values.iter().copied()),
        _ => Err(unsupported(&format!(
            "a TIFF of kind {colour:?} with {bits} bits ({:?})",
            layout.sample_format
        ))),
    }
}

fn is_grey(colour: ColorType) -> bool {
    matches!(colour, ColorType::Gray(_))
}

/// Clips values to 0 to 255, as Pillow does; refuses them if that would lose the picture.
fn clipped(values: impl Iterator<Item = f64> + Clone) -> Result<Vec<u8>, DecodeError> {
    let (least, most) = values
        .clone()
        .fold((f64::MAX, f64::MIN), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    if least < 0.0 || most > 255.0 || most <= 1.0 {
        return Err(unsupported(&format!(
            "a TIFF of values from {least} to {most}, not from 0 to 255"
        )));
    }
    Ok(values.map(|value| value as u8).collect())
}

/// Further properties of a TIFF's pixels.
struct Quirks {
    /// Not compressed.
    unpacked: bool,
    /// Compressed as JPEG.
    jpeg: bool,
    /// Colours are multiplied by alpha.
    premultiplied: bool,
}

/// Converts to (H, W, 4), like Pillow.
fn rgbx(
    samples: &Samples,
    colour: ColorType,
    map: &[u16],
    quirks: Quirks,
) -> Result<Vec<u8>, DecodeError> {
    let grey = |[value]: [u8; 1]| [value; 4];
    Ok(match colour {
        ColorType::Gray(_) if !map.is_empty() => {
            let third = map.len() / 3;
            let entry = |at: usize| map.get(at).copied().map_or(0, upper);
            let look_up = |[index]: [u8; 1]| {
                let index = usize::from(index);
                [
                    entry(index),
                    entry(third + index),
                    entry(2 * third + index),
                    255,
                ]
            };
            samples.channels()?.flat_map(look_up).collect()
        }
        ColorType::Gray(_) => samples.channels()?.flat_map(grey).collect(),
        ColorType::Multiband { num_samples: 2, .. } if !quirks.jpeg => {
            samples.channels()?.flat_map(grey).collect()
        }
        ColorType::RGBA(_) if quirks.premultiplied => {
            samples.channels()?.flat_map(divided).collect()
        }
        ColorType::RGB(_) | ColorType::RGBA(_) => {
            let opaque = |[red, green, blue]: [u8; 3]| [red, green, blue, 255];
            samples.channels()?.flat_map(opaque).collect()
        }
        ColorType::CMYK(_) | ColorType::CMYKA(_) => {
            let inverted = |inks: [u8; 4]| inks.map(|ink| 255 - ink);
            let mut pixels: Vec<u8> = samples.channels()?.flat_map(inverted).collect();
            cmyk_to_rgb(&mut pixels);
            pixels
        }
        ColorType::YCbCr(_) => {
            // Pillow computes with six fractional bits and rounds down; libtiff, which it
            // uses for compressed data, rounds to the nearest.
            let (bits, half) = if quirks.unpacked {
                (6, 0)
            } else {
                (16, 1 << 15)
            };
            let to_rgb = |pixel| ycbcr_to_rgb(pixel, bits, half);
            samples.channels()?.flat_map(to_rgb).collect()
        }
        other => return Err(unsupported(&format!("a TIFF of kind {other:?}"))),
    })
}

/// Undoes the multiplication by alpha.
fn divided([red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
    let whole = |colour: u8| match (u32::from(colour) * 255).checked_div(alpha.into()) {
        Some(whole) => whole.min(255) as u8,
        None => 0,
    };
    [whole(red), whole(green), whole(blue), 255]
}

/// ITU-R BT.601 over the full range, in fixed point.
fn ycbcr_to_rgb([y, cb, cr]: [u8; 3], bits: u8, half: i32) -> [u8; 4] {
    let one = (1_i32 << bits) as f32;
    let part = |weight: f32, chroma: u8| (weight * one * (f32::from(chroma) - 128.0) + 0.5) as i32;
    let channel = |sum: i32| (i32::from(y) + ((sum + half) >> bits)).clamp(0, 255) as u8;
    [
        channel(part(1.402, cr)),
        channel(part(-0.34414, cb) + part(-0.71414, cr)),
        channel(part(1.772, cb)),
        255,
    ]
}

fn unsupported(what: &str) -> DecodeError {
    DecodeError::Unsupported(format!("{what}: {}", crate::photograph::CONVERT))
}

fn refused(error: TiffError) -> DecodeError {
    match error {
        TiffError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(e.to_string())
        }
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedCompressionMethod(method)) => {
            let code = method.to_u16();
            unsupported(&match code {
                34925 => "a TIFF packed by LZMA".into(),
                _ => format!("a TIFF packed by {method:?} (method {code})"),
            })
        }
        TiffError::UnsupportedError(e) => unsupported(&format!("a TIFF, {e}")),
        TiffError::LimitsExceeded => unsupported("a TIFF that takes more memory than its pixels"),
        error => broken(error.to_string()),
    }
}
