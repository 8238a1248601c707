//! The marker segments of a JPEG, without decoding it.

use crate::orientation;
use image::metadata::Orientation;

/// Start of image, end of image, start of scan.
pub const SOI: u8 = 0xd8;
pub const EOI: u8 = 0xd9;
pub const SOS: u8 = 0xda;

/// A marker and all up to the next one.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub marker: u8,
    /// What the segment's length covers, without the length. Empty for a marker that
    /// has none.
    pub body: &'a [u8],
    /// Up to the next marker: entropy-coded data behind [`SOS`] and a restart marker,
    /// else bytes without meaning.
    pub data: &'a [u8],
}

impl Segment<'_> {
    /// A frame header. The other three markers of its range are tables.
    pub fn is_frame(&self) -> bool {
        matches!(self.marker, 0xc0..=0xcf) && !matches!(self.marker, 0xc4 | 0xc8 | 0xcc)
    }

    pub fn is_restart(&self) -> bool {
        matches!(self.marker, 0xd0..=0xd7)
    }
}

/// All segments behind the two bytes that a JPEG begins with. A marker is 0xFF, as
/// often as you like, and a byte that is not 0, wherever a segment's length does not
/// pass over it.
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

/// The next marker: where its first 0xFF is, and where its code.
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

/// The orientation that the EXIF or XMP block says.
pub fn orientation(bytes: &[u8]) -> Option<Orientation> {
    let applications = || {
        segments(bytes)
            .take_while(|segment| segment.marker != SOS)
            .filter(|segment| segment.marker == 0xe1)
            .map(|segment| segment.body)
    };
    let exif = applications().find_map(|body| body.strip_prefix(b"Exif\0\0"));
    let xmp = applications().find_map(|body| body.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"));
    orientation::of(exif, xmp)
}
