//! JPEG through libjpeg-turbo.

use crate::{DecodeError, DecodeOptions, Photograph, check_size, other};
use image::metadata::Orientation;
use std::cell::RefCell;
use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor};

/// Scans that a progressive JPEG may have. Encoders write about ten; thousands
/// are an attack on the decoder's time.
const MAX_SCANS: u32 = 500;

/// libjpeg's warnings that leave every pixel as it was meant. It reports the
/// first warning only, so a picture with another one is not accepted.
const HARMLESS: [&str; 4] = [
    "extraneous bytes",
    "JFIF revision",
    "Adobe color transform",
    "Invalid SOS parameters",
];

thread_local! {
    // Made once: libjpeg's own memory is kept between images, too.
    static DECODERS: RefCell<[Option<Decompressor>; 2]> = const { RefCell::new([None, None]) };
    /// The pixels of an image that is done with.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the memory of a photograph for the next one.
pub fn keep(pixels: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| *spare = pixels);
}

pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    DECODERS.with_borrow_mut(|[exact, fast]| {
        // Of their own: a decoder can't be told to be exact again.
        let decoder = if options.fast.is_some() { fast } else { exact };
        let decoder = match decoder {
            Some(decoder) => decoder,
            None => decoder.insert(new(options.fast.is_some()).map_err(refused)?),
        };
        decode_with(decoder, bytes, options)
    })
}

fn new(fast: bool) -> turbojpeg::Result<Decompressor> {
    let mut decoder = Decompressor::new()?;
    decoder.set_scan_limit(MAX_SCANS)?;
    decoder.set_fast_upsample(fast)?;
    Ok(decoder)
}

fn decode_with(
    decoder: &mut Decompressor,
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<Photograph, DecodeError> {
    let markers = Markers::of(bytes);
    if !markers.complete {
        return Err(DecodeError::Truncated(
            "the JPEG ends before its end marker".into(),
        ));
    }
    // What libjpeg says of such a file depends on the one before it.
    if let Some(bits) = markers.precision.filter(|bits| !(2..=16).contains(bits)) {
        return Err(DecodeError::Corrupt(format!("samples of {bits} bits")));
    }
    // turbojpeg gives no size where the header makes libjpeg warn; the other
    // decoder is less strict there.
    let header = match decoder.read_header(bytes) {
        Ok(header) => header,
        Err(e) => return other::decode(bytes, options).map_err(|_| refused(e)),
    };
    check_size(header.width as u64, header.height as u64, options)?;

    let cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if cmyk {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGBX
    };
    let scale = scale(header.width, header.height, options);
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
    match decoder.decompress(bytes, image) {
        Ok(()) => {}
        Err(e)
            if HARMLESS
                .iter()
                .any(|harmless| e.to_string().contains(harmless)) => {}
        Err(e) => return Err(refused(e)),
    }
    if cmyk {
        cmyk_to_rgb(&mut pixels);
    }
    let photograph = Photograph {
        width: width as u32,
        height: height as u32,
        full: (header.width as u32, header.height as u32),
        rgbx: pixels,
    };
    match markers
        .exif
        .filter(|_| options.exif_orientation)
        .and_then(Orientation::from_exif_chunk)
    {
        Some(orientation) => other::turned(photograph, orientation),
        None => Ok(photograph),
    }
}

/// The smallest scale at which libjpeg is faster than at full size and that still
/// has the columns and rows that are wanted.
fn scale(width: usize, height: usize, options: &DecodeOptions) -> ScalingFactor {
    let Some((columns, rows)) = options.fast else {
        return ScalingFactor::ONE;
    };
    let covers = |scale: &ScalingFactor| {
        scale.scale(width) >= columns as usize && scale.scale(height) >= rows as usize
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
    let message = error.to_string();
    if message.contains("nsupported") {
        DecodeError::Unsupported(message)
    } else if message.contains("remature end") {
        DecodeError::Truncated(message)
    } else {
        DecodeError::Corrupt(message)
    }
}

/// CMYK as the file has it, that is inverted (Pillow takes every CMYK JPEG so, and
/// so do the programs that write them), to RGB by Pillow's formula: `k - (255 - c) *
/// k / 255`, rounded.
fn cmyk_to_rgb(pixels: &mut [u8]) {
    for [r, g, b, k] in pixels.as_chunks_mut::<4>().0 {
        let k = u32::from(*k);
        for c in [r, g, b] {
            let t = (255 - u32::from(*c)) * k + 128;
            *c = (k - ((t + (t >> 8)) >> 8)) as u8;
        }
    }
}

/// What the marker segments of a JPEG say, without decoding it.
struct Markers<'a> {
    /// The end marker was reached: the file is not cut.
    complete: bool,
    /// The EXIF (TIFF) block.
    exif: Option<&'a [u8]>,
    /// Bits of a sample.
    precision: Option<u8>,
}

impl<'a> Markers<'a> {
    /// Walks from marker to marker: segments by their length, entropy-coded data
    /// byte by byte (in it, 0xFF is followed by 0 or a restart marker).
    fn of(bytes: &'a [u8]) -> Self {
        let mut markers = Markers {
            complete: false,
            exif: None,
            precision: None,
        };
        let mut at = 2;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xff, rest)) {
            at += found + 1;
            let Some(&marker) = bytes.get(at) else { break };
            match marker {
                0xff => continue,
                0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
                0xd9 => {
                    markers.complete = true;
                    break;
                }
                _ => {
                    let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
                        break;
                    };
                    let end = at + 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
                    let body = bytes.get(at + 3..end).unwrap_or_default();
                    if marker == 0xe1 && markers.exif.is_none() {
                        markers.exif = body.strip_prefix(b"Exif\0\0");
                    }
                    // Frame headers; the other three of the range are tables.
                    if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                        markers.precision = body.first().copied();
                    }
                    at = end;
                }
            }
        }
        markers
    }
}
