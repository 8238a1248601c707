//! Decodes PNG, even if its end or a checksum is missing.

use super::generic::through_image;
use crate::orientation;
use crate::photograph::{DecodeError, DecodeOptions, Decoded, Photograph};
use flate2::read::{ZlibDecoder, ZlibEncoder};
use flate2::{Compression, Crc};
use image::ImageFormat;
use image::metadata::Orientation;
use std::io::Read;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let plain = DecodeOptions {
        exif_orientation: false,
        ..*options
    };
    let read = |bytes: &[u8]| through_image(bytes, ImageFormat::Png, &plain);
    let (photograph, damage): (Photograph, _) = match read(bytes) {
        Ok(photograph) => (photograph, None),
        Err(error @ (DecodeError::Truncated(_) | DecodeError::Corrupt(_))) => {
            match mended(bytes, options) {
                Some((mended, damage)) => (read(&mended).map_err(|_| error)?, Some(damage)),
                None => return Err(error),
            }
        }
        Err(error) => return Err(error),
    };
    if !options.exif_orientation {
        return Ok((photograph, damage));
    }
    Ok((orientation::turned(photograph, orientation(bytes))?, damage))
}

struct Chunk<'a> {
    kind: &'a [u8],
    body: &'a [u8],
    /// The whole chunk: length, kind, body and checksum.
    all: &'a [u8],
    /// Whether it is complete and its checksum is right.
    whole: bool,
}

/// All chunks; the last may be truncated.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, content) = rest.split_first_chunk::<4>()?;
        let (kind, content) = content.split_at_checked(4)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (body, behind) = content.split_at(length.min(content.len()));
        let checksum = behind
            .first_chunk::<4>()
            .map(|sum| u32::from_be_bytes(*sum));
        let all = &rest[..rest.len().min(length.saturating_add(12))];
        rest = &rest[all.len()..];
        Some(Chunk {
            kind,
            body,
            all,
            whole: checksum == Some(crc(&[kind, body])),
        })
    })
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

/// The same picture with an end and correct checksums of its pixels, and what was wrong with
/// it. `None` if the pixels themselves are damaged, which their own checksum shows.
fn mended(bytes: &[u8], options: &DecodeOptions) -> Option<(Vec<u8>, String)> {
    let mut mended = SIGNATURE.to_vec();
    let (mut packed, mut whole) = (Vec::new(), true);
    for chunk in chunks(bytes) {
        match chunk.kind {
            b"IDAT" => {
                packed.extend(chunk.body);
                whole &= chunk.whole;
            }
            // Copied with its checksum, which still shows damage.
            b"IHDR" | b"PLTE" | b"tRNS" => mended.extend(chunk.all),
            _ => {}
        }
    }
    let side = |at| {
        let body = chunks(bytes).find(|chunk| chunk.kind == b"IHDR")?.body;
        let digits = body.get(at..)?.first_chunk::<4>()?;
        Some(u64::from(u32::from_be_bytes(*digits)))
    };
    let pixels = side(0)?.saturating_mul(side(4)?).min(options.max_pixels);
    // 16-bit RGBA takes eight bytes per pixel, and each row has a filter byte.
    let limit = pixels.saturating_mul(10).saturating_add(64);
    let mut rows = Vec::new();
    let mut unpacking = ZlibDecoder::new(&*packed);
    if let Err(error) = unpacking.by_ref().take(limit).read_to_end(&mut rows)
        && error.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return None;
    }
    if unpacking.total_in() < packed.len() as u64 {
        return None;
    }
    // The decoder will notice missing rows.
    let mut packed = Vec::new();
    let mut packing = ZlibEncoder::new(&*rows, Compression::none());
    packing.read_to_end(&mut packed).ok()?;
    for (kind, body) in [(b"IDAT", packed), (b"IEND", Vec::new())] {
        mended.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
        mended.extend(kind);
        mended.extend(&body);
        mended.extend(crc(&[kind, &body]).to_be_bytes());
    }
    let ended = chunks(bytes).any(|chunk| chunk.kind == b"IEND" && chunk.whole);
    let damage = match (whole, ended) {
        (false, true) => "wrong checksum of the pixels",
        (true, false) => "no end chunk",
        (false, false) => "no checksum of the pixels and no end chunk",
        (true, true) => return None,
    };
    Some((mended, damage.to_owned()))
}

/// The orientation in the EXIF chunk, before or after the pixels, or in a text chunk.
fn orientation(bytes: &[u8]) -> Option<Orientation> {
    let bodies = |kind: &'static [u8]| {
        chunks(bytes)
            .filter(move |chunk| chunk.kind == kind)
            .map(|chunk| chunk.body)
    };
    let exif = bodies(b"eXIf").next().map(<[u8]>::to_vec);
    let exif = exif.or_else(|| {
        bodies(b"zTXt").find_map(|body| raw_profile(&inflated(profile(body)?.strip_prefix(&[0])?)?))
    });
    let exif = exif.or_else(|| bodies(b"tEXt").find_map(|body| raw_profile(profile(body)?)));
    let exif = exif
        .as_deref()
        .map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    let xmp = bodies(b"iTXt").find_map(xmp);
    orientation::find(exif, xmp.as_deref())
}

/// The content of a text chunk in which ImageMagick stores EXIF.
fn profile(body: &[u8]) -> Option<&[u8]> {
    body.strip_prefix(b"Raw profile type exif\0")
}

/// Decodes such a text: an empty line, the profile's name, its length, and its bytes in
/// hexadecimal.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .splitn(4, |&byte| byte == b'\n')
        .nth(3)?
        .iter()
        .filter_map(|&byte| char::from(byte).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    Some(
        digits
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| a << 4 | b)
            .collect(),
    )
}

/// The XMP packet in an iTXt chunk, which holds a keyword, two bytes about compression, the
/// language, the translated keyword and the text.
fn xmp(body: &[u8]) -> Option<Vec<u8>> {
    let body = body.strip_prefix(b"XML:com.adobe.xmp\0")?;
    let (&[compressed, _], rest) = body.split_first_chunk::<2>()?;
    let text = rest.splitn(3, |&byte| byte == 0).nth(2)?;
    match compressed {
        0 => Some(text.to_vec()),
        _ => inflated(text),
    }
}

/// Decompresses at most one MiB.
fn inflated(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut unpacking = ZlibDecoder::new(packed).take(1 << 20);
    unpacking.read_to_end(&mut text).ok()?;
    Some(text)
}
