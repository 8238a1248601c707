//! Names a file that no decoder here reads, and says what to do with it.

use crate::photograph::{CONVERT, DecodeError};

const DOWNLOAD: &str = "no photograph; download it again";
const UNPACK: &str = "no photograph; unpack it";
const FRAME: &str = "no photograph; take a picture out of it, with ffmpeg for example";
const RAW: &str = "a camera's raw data";

/// Offset and bytes of a signature, what the file is, and what to do.
const SIGNATURES: [(usize, &[u8], &str, &str); 63] = [
    (4, b"ftypavif", "AVIF", CONVERT),
    (4, b"ftypavis", "AVIF", CONVERT),
    (4, b"ftyphe", "HEIC", CONVERT),
    (4, b"ftypmif1", "HEIC (HEIF)", CONVERT),
    (4, b"ftypmsf1", "HEIC (HEIF)", CONVERT),
    (4, b"ftypcrx ", RAW, CONVERT),
    (4, b"ftyp", "a video", FRAME),
    (4, b"moov", "a video", FRAME),
    (4, b"mdat", "a video", FRAME),
    (8, b"AVI ", "a video", FRAME),
    (0, b"\x1a\x45\xdf\xa3", "a video", FRAME),
    (0, b"FLV\x01", "a video", FRAME),
    (0, b"\0\0\x01\xba", "a video", FRAME),
    (0, b"\xff\x0a", "JPEG XL", CONVERT),
    (4, b"JXL \r\n\x87\n", "JPEG XL", CONVERT),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", CONVERT),
    (4, b"jP  \r\n\x87\n", "JPEG 2000", CONVERT),
    (0, b"II\xbc", "JPEG XR", CONVERT),
    (0, b"8BPS", "Photoshop (PSD)", CONVERT),
    (0, b"gimp xcf", "GIMP (XCF)", CONVERT),
    (0, b"\0\0\x01\0", "a Windows icon", CONVERT),
    // Targa has zeros (no colour map) where a cursor has its number of pictures.
    (0, b"\0\0\x02\0\0\0", "Targa (TGA)", CONVERT),
    (0, b"\0\0\x0a\0\0\0", "Targa (TGA)", CONVERT),
    (0, b"\0\0\x02\0", "a Windows cursor", CONVERT),
    (0, b"qoif", "QOI", CONVERT),
    (0, b"DDS ", "DirectDraw (DDS)", CONVERT),
    (0, b"#?RADIANCE", "Radiance (HDR)", CONVERT),
    (0, b"#?RGBE", "Radiance (HDR)", CONVERT),
    (0, b"\x76\x2f\x31\x01", "OpenEXR", CONVERT),
    (0, b"farbfeld", "farbfeld", CONVERT),
    (0, b"AT&TFORM", "DjVu", CONVERT),
    (0, b"SIMPLE  =", "FITS", CONVERT),
    (0, b"P1\n", "Netpbm (PBM)", CONVERT),
    (0, b"P2\n", "Netpbm (PGM)", CONVERT),
    (0, b"P3\n", "Netpbm (PPM)", CONVERT),
    (0, b"P4\n", "Netpbm (PBM)", CONVERT),
    (0, b"P5\n", "Netpbm (PGM)", CONVERT),
    (0, b"P6\n", "Netpbm (PPM)", CONVERT),
    (0, b"P7\n", "Netpbm (PAM)", CONVERT),
    (0, b"%!PS", "PostScript", CONVERT),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript", CONVERT),
    (0, b"%PDF-", "PDF", CONVERT),
    (0, b"FUJIFILMCCD-RAW", RAW, CONVERT),
    (0, b"IIRO", RAW, CONVERT),
    (0, b"IIRS", RAW, CONVERT),
    (0, b"MMOR", RAW, CONVERT),
    (0, b"IIU\0", RAW, CONVERT),
    (0, b"\0MRM", RAW, CONVERT),
    (0, b"FOVb", RAW, CONVERT),
    (6, b"HEAPCCDR", RAW, CONVERT),
    (0, b"\x1f\x8b", "gzip", UNPACK),
    (0, b"PK\x03\x04", "a zip archive", UNPACK),
    (0, b"PK\x05\x06", "a zip archive", UNPACK),
    (0, b"BZh", "bzip2", UNPACK),
    (0, b"\xfd7zXZ\0", "xz", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "zstd", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a rar archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        "HDF5",
        "no photograph; write its pictures as PNG",
    ),
    (
        0,
        b"\x93NUMPY",
        "a NumPy array",
        "no photograph; write its pictures as PNG",
    ),
    (
        0,
        b"\0\x05\x16\x07",
        "AppleDouble",
        "what macOS keeps beside a file: take the name without ._ in front",
    ),
    (0, b"\0\0\0\0\0\0\0\0", "zeros", DOWNLOAD),
];

/// What a text begins with or, after `*`, contains in its first KiB, in lower case; what it
/// is, and what to do.
const TEXTS: [(&str, &str, &str); 10] = [
    (
        "version https://git-lfs",
        "a Git LFS pointer",
        "no photograph; fetch it with git lfs pull",
    ),
    ("*<svg", "SVG", CONVERT),
    ("<!doctype html", "a web page", DOWNLOAD),
    ("*<html", "a web page", DOWNLOAD),
    ("*<body", "a web page", DOWNLOAD),
    ("*<head", "a web page", DOWNLOAD),
    ("<", "XML", DOWNLOAD),
    ("{", "JSON", DOWNLOAD),
    ("[", "JSON", DOWNLOAD),
    ("*", "text", DOWNLOAD),
];

/// The error for a file that no decoder here reads.
pub fn refused(bytes: &[u8]) -> DecodeError {
    let matches = |(offset, signature): (usize, &[u8])| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(signature))
    };
    let found = SIGNATURES
        .iter()
        .find(|(offset, signature, ..)| matches((*offset, signature)));
    let named = found.map(|(_, _, name, way_out)| (*name, *way_out));
    DecodeError::Unsupported(match named.or_else(|| text(bytes)) {
        Some((name, way_out)) => format!("{name}: {way_out}"),
        None => "not an image of a known format".into(),
    })
}

fn text(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let begin = &bytes[..bytes.len().min(1024)];
    let control = |byte: &u8| matches!(byte, 0..=8 | 14..=31);
    if begin.iter().any(control) {
        return None;
    }
    let text = String::from_utf8_lossy(begin).to_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let found = TEXTS
        .iter()
        .find(|(sign, ..)| match sign.strip_prefix('*') {
            // Not empty, and without characters of another encoding.
            Some("") => !text.is_empty() && !text.contains('\u{fffd}'),
            Some(part) => text.contains(part),
            None => text.starts_with(sign),
        });
    found.map(|(_, name, way_out)| (*name, *way_out))
}
