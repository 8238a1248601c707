//! The orientation of a picture, found as by Pillow's `ImageOps.exif_transpose`.

use crate::photograph::{DecodeError, Photograph};
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};

const ORIENTATION: u16 = 274;

/// The orientation stated in the EXIF block, or else in the XMP packet.
pub fn find(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Option<Orientation> {
    let value = exif.and_then(|exif| Entry::find(exif, ORIENTATION)?.number(exif));
    let value = value.or_else(|| xmp.and_then(in_xmp))?;
    Orientation::from_exif(u8::try_from(value).ok()?)
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6</…`.
fn in_xmp(xmp: &[u8]) -> Option<u64> {
    let key = b"tiff:Orientation";
    memchr::memmem::find_iter(xmp, key).find_map(|at| {
        let rest = &xmp[at + key.len()..];
        let digit = rest
            .strip_prefix(b"=\"")
            .or(rest.strip_prefix(b">"))?
            .first()?;
        digit.is_ascii_digit().then(|| u64::from(digit - b'0'))
    })
}

/// An entry of the first directory of a TIFF or BigTIFF; an EXIF block is one.
pub struct Entry {
    /// Position of its value, or of the value's offset.
    pub at: usize,
    kind: u16,
    count: u64,
    big_endian: bool,
}

impl Entry {
    /// The entry with this tag.
    pub fn find(tiff: &[u8], tag: u16) -> Option<Entry> {
        let big_endian = match tiff.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let number = |at, size| number(tiff, at, size, big_endian);
        // Sizes in bytes: of an offset, of the number of entries, of an entry.
        let (offset, count, entry) = match number(2, 2)? {
            42 => (4, 2, 12),
            43 => (8, 8, 20),
            _ => return None,
        };
        let directory = usize::try_from(number(offset, offset)?).ok()?;
        let begin = directory.checked_add(count)?;
        let entries = usize::try_from(number(directory, count)?).ok()?;
        let at = (0..entries)
            .map_while(|i| begin.checked_add(i.checked_mul(entry)?))
            .map_while(|at| Some((at, number(at, 2)?)))
            .find_map(|(at, found)| (found == u64::from(tag)).then_some(at))?;
        Some(Entry {
            at: at + 4 + offset,
            kind: number(at + 2, 2)? as u16,
            count: number(at + 4, offset)?,
            big_endian,
        })
    }

    /// The value, if it is a whole number stored in the entry itself.
    pub fn number(&self, tiff: &[u8]) -> Option<u64> {
        number(tiff, self.at, self.size()?, self.big_endian)
    }

    /// Overwrites the value.
    pub fn set_number(&self, tiff: &mut [u8], value: u64) {
        let bytes = value.to_be_bytes();
        let value = self.size().map(|size| &bytes[bytes.len() - size..]);
        let place = value.and_then(|value| tiff.get_mut(self.at..self.at + value.len()));
        if let (Some(value), Some(place)) = (value, place) {
            place.copy_from_slice(value);
            if !self.big_endian {
                place.reverse();
            }
        }
    }

    /// Size of the value in bytes; `None` if it is not a whole number in the entry.
    fn size(&self) -> Option<usize> {
        let size = match self.kind {
            6 => 1,
            3 | 8 => 2,
            4 | 9 => 4,
            _ => return None,
        };
        // If the entry holds several numbers, the first counts.
        (self.count >= 1 && self.count <= 4 / size as u64).then_some(size)
    }
}

/// An unsigned number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize, big_endian: bool) -> Option<u64> {
    let digits = bytes.get(at..at.checked_add(size)?)?.iter();
    let add = |sum: u64, digit: &u8| sum << 8 | u64::from(*digit);
    Some(match big_endian {
        true => digits.fold(0, add),
        false => digits.rev().fold(0, add),
    })
}

/// The photograph, turned upright.
pub fn turned(
    photograph: Photograph,
    orientation: Option<Orientation>,
) -> Result<Photograph, DecodeError> {
    let Some(orientation) = orientation else {
        return Ok(photograph);
    };
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
