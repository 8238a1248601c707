//! JPEG through libjpeg-turbo.

use crate::{DecodeError, DecodeOptions, Photograph, check_size, other};
use image::metadata::Orientation;
use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

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

pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    let markers = Markers::of(bytes);
    if !markers.complete {
        return Err(DecodeError::Truncated(
            "the JPEG ends before its end marker".into(),
        ));
    }
    let mut decoder = Decompressor::new().map_err(refused)?;
    decoder.set_scan_limit(MAX_SCANS).map_err(refused)?;
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
        PixelFormat::RGB
    };
    let mut pixels = vec![0; header.width * header.height * format.size()];
    let image = Image {
        pixels: pixels.as_mut_slice(),
        width: header.width,
        pitch: header.width * format.size(),
        height: header.height,
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
    let rgb = if cmyk {
        rgb_of_inverted_cmyk(&pixels)
    } else {
        pixels
    };
    let photograph = Photograph {
        width: header.width as u32,
        height: header.height as u32,
        rgb,
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

/// (N, 4) CMYK as the file has it, that is inverted (Pillow takes every CMYK
/// JPEG so, and so do the programs that write them), to (N, 3) RGB by Pillow's
/// formula: `k - (255 - c) * k / 255`, rounded.
fn rgb_of_inverted_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for pixel in cmyk.as_chunks::<4>().0 {
        let k = u32::from(pixel[3]);
        rgb.extend(pixel[..3].iter().map(|&c| {
            let t = (255 - u32::from(c)) * k + 128;
            (k - ((t + (t >> 8)) >> 8)) as u8
        }));
    }
    rgb
}

/// What the marker segments of a JPEG say, without decoding it.
struct Markers<'a> {
    /// The end marker was reached: the file is not cut.
    complete: bool,
    /// The EXIF (TIFF) block.
    exif: Option<&'a [u8]>,
}

impl<'a> Markers<'a> {
    /// Walks from marker to marker: segments by their length, entropy-coded data
    /// byte by byte (in it, 0xFF is followed by 0 or a restart marker).
    fn of(bytes: &'a [u8]) -> Self {
        let mut markers = Markers {
            complete: false,
            exif: None,
        };
        let mut at = 2;
        while let Some(found) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|&b| b == 0xff))
        {
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
                    at = end;
                }
            }
        }
        markers
    }
}
