//! The caption in a JPEG's IPTC data (IIM 2:120), which some photo managers show instead of
//! XMP's description: found, and taken out.

use std::ops::Range;

/// How the segment begins that holds Photoshop's resources.
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
/// The resource that holds IPTC data.
const IPTC: u16 = 0x0404;
/// Record 2, dataset 120: the caption.
const CAPTION: [u8; 3] = [0x1C, 2, 120];

/// A segment of Photoshop's resources without the captions in it; `None` if it has none, or is
/// none.
pub fn without_caption(segment: &[u8]) -> Option<Vec<u8>> {
    let data = resource(segment)?;
    let mut kept = Vec::new();
    let mut rest = &segment[data.clone()];
    let mut found = false;
    while let [0x1C, _, _, high, low, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // Longer ones have another form, and a broken one is left as it is.
        let dataset = rest.get(..5 + length).filter(|_| length < 0x8000)?;
        if dataset.starts_with(&CAPTION) {
            found = true;
        } else {
            kept.extend_from_slice(dataset);
        }
        rest = &rest[dataset.len()..];
    }
    kept.extend_from_slice(rest);
    let size = u32::try_from(kept.len()).ok()?.to_be_bytes();
    let end = data.end + (data.len() & 1); // padded to an even length
    if kept.len() & 1 == 1 {
        kept.push(0);
    }
    let behind = segment.get(end..).unwrap_or_default();
    found.then(|| [&segment[..data.start - 4], &size, &kept, behind].concat())
}

/// Where the IPTC data lies, behind its length of four bytes.
fn resource(segment: &[u8]) -> Option<Range<usize>> {
    let mut at = segment.starts_with(PHOTOSHOP).then_some(PHOTOSHOP.len())?;
    while segment.get(at..at + 4)? == b"8BIM" {
        let id = u16::from_be_bytes(segment.get(at + 4..at + 6)?.try_into().ok()?);
        // A name with its length before it, padded to an even length.
        let name = (usize::from(*segment.get(at + 6)?) + 2) & !1;
        let begin = at + 6 + name + 4;
        let length = u32::from_be_bytes(segment.get(begin - 4..begin)?.try_into().ok()?) as usize;
        segment.get(begin..begin.checked_add(length)?)?;
        if id == IPTC {
            return Some(begin..begin + length);
        }
        at = begin + length + (length & 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(number: u8, text: &str) -> Vec<u8> {
        let length = (text.len() as u16).to_be_bytes();
        [&[0x1C, 2, number], &length[..], text.as_bytes()].concat()
    }

    fn segment(datasets: &[Vec<u8>]) -> Vec<u8> {
        let mut data = datasets.concat();
        let size = (data.len() as u32).to_be_bytes();
        if data.len() & 1 == 1 {
            data.push(0);
        }
        let other = b"8BIM\x03\xed\x03abc\0\0\0\x01x\0";
        let iptc = [b"8BIM\x04\x04\0\0", &size[..], &data].concat();
        [PHOTOSHOP, other, &iptc, other].concat()
    }

    #[test]
    fn captions_go_and_all_else_stays() {
        let (title, city) = (dataset(5, "a title"), dataset(90, "Graz"));
        for caption in ["a dog", "dogs"] {
            let with = segment(&[title.clone(), dataset(120, caption), city.clone()]);
            let without = segment(&[title.clone(), city.clone()]);
            assert_eq!(without_caption(&with), Some(without.clone()));
            assert_eq!(without_caption(&without), None);
        }
    }

    #[test]
    fn what_is_cut_or_no_iptc_is_left_alone() {
        let whole = segment(&[dataset(120, "a dog")]);
        for length in 0..whole.len() {
            // The resource behind the IPTC data may be cut.
            let _ = without_caption(&whole[..length]);
        }
        let cut = &whole[..PHOTOSHOP.len() + 30];
        assert_eq!(without_caption(cut), None);
        assert_eq!(without_caption(b"Exif\0"), None);
        let lies = segment(&[vec![0x1C, 2, 120, 0x7F, 0xFF, 1]]);
        assert_eq!(without_caption(&lies), None);
    }
}
