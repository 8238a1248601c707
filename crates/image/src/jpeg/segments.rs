//! Finds the marker segments of a JPEG without decoding it.

use crate::orientation;
use image::metadata::Orientation;

/// Start of image, end of image, start of scan.
pub const SOI: u8 = 0xd8;
pub const EOI: u8 = 0xd9;
pub const SOS: u8 = 0xda;

/// A marker and everything up to the next one.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub marker: u8,
    /// The bytes that the segment's length covers, without the length itself. Empty for a
    /// marker without a length.
    pub body: &'a [u8],
    /// The bytes from there to the next marker: entropy-coded data after [`SOS`] and restart
    /// markers, otherwise meaningless.
    pub data: &'a [u8],
}

impl Segment<'_> {
    /// Whether this is a frame header. Three other markers in this range are tables.
    pub fn is_frame(&self) -> bool {
        matches!(self.marker, 0xc0..=0xcf) && !matches!(self.marker, 0xc4 | 0xc8 | 0xcc)
    }

    pub fn is_restart(&self) -> bool {
        matches!(self.marker, 0xd0..=0xd7)
    }
}

/// All segments after the two bytes with which a JPEG begins. A marker is one or more bytes
/// 0xFF and a byte other than 0, at any position that is not within a segment's length.
pub fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut next = marker_from(bytes, 2);
    std::iter::from_fn(move || {
        let (_, at) = next?;
        let marker = bytes[at];
        let mut end = at + 1;
        let mut body: &[u8] = &[];
        if !matches!(marker, 0x01 | 0xd0..=EOI) {
            let length = match bytes.get(at + 1..at + 3) {
                Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => 2,
            };
            end = (at + 1 + length).min(bytes.len());
            body = bytes.get(at + 3..end).unwrap_or_default();
        }
        next = marker_from(bytes, end);
        let data = &bytes[end..next.map_or(bytes.len(), |(begin, _)| begin)];
        Some(Segment { marker, body, data })
    })
}

/// The next marker: the positions of its first 0xFF and of its code.
fn marker_from(bytes: &[u8], mut from: usize) -> Option<(usize, usize)> {
    loop {
        let begin = from + memchr::memchr(0xff, bytes.get(from..)?)?;
        let code = begin + bytes[begin..].iter().position(|&byte| byte != 0xff)?;
        if bytes[code] != 0 {
            return Some((begin, code));
        }
        from = code + 1;
    }
}

/// The orientation in the EXIF or XMP block.
pub fn orientation(bytes: &[u8]) -> Option<Orientation> {
    let applications = || {
        segments(bytes)
            .take_while(|segment| segment.marker != SOS)
            .filter(|segment| segment.marker == 0xe1)
            .map(|segment| segment.body)
    };
    let exif = applications().find_map(|body| body.strip_prefix(b"Exif\0\0"));
    let xmp = applications().find_map(|body| body.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"));
    orientation::find(exif, xmp)
}
