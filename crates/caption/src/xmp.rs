//! The description in a photograph's metadata, as photo managers read it: `dc:description`
//! of the XMP packet. All other bytes of the file stay as they are.

use crate::iptc;
use img_parts::Bytes;
use img_parts::jpeg::{Jpeg, JpegSegment, markers};
use img_parts::png::{Png, PngChunk};
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::WebP;

/// How the segment of a JPEG begins that holds the packet.
const NAMESPACE: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const OTHER: &str = "it has another description; --replace replaces it";
/// How the chunk of a PNG begins that holds it: keyword, not compressed, no language.
const KEYWORD: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
/// Most bytes of a JPEG's segment.
const LONGEST: usize = 65_533;

/// The file with this description; `None` if it has it. Another description is only replaced
/// with `replace`.
///
/// # Errors
/// The reason for the user why the file can't have it.
pub fn describe(file: &[u8], caption: &str, replace: bool) -> Result<Option<Vec<u8>>, String> {
    let bytes = Bytes::copy_from_slice(file);
    let broken = |e: img_parts::Error| format!("its metadata can't be written: {e}");
    let packet = |old: Option<&[u8]>| packet(old, caption, replace);
    let described = if file.starts_with(b"\xff\xd8") {
        let mut jpeg = Jpeg::from_bytes(bytes).map_err(broken)?;
        let segments = jpeg.segments_mut();
        let place = segments
            .iter()
            .position(|segment| packet_of(segment).is_some());
        let old = place
            .and_then(|place| packet_of(&segments[place]))
            .map(<[u8]>::to_vec);
        let changed = take_out_iptc(segments, replace)?;
        let new = match packet(old.as_deref())? {
            Some(new) => new,
            None if changed => return Ok(Some(jpeg.encoder().bytes().to_vec())),
            None => return Ok(None),
        };
        let contents = [NAMESPACE, new.as_bytes()].concat();
        if contents.len() > LONGEST {
            return Err("its XMP packet has no room for a description".into());
        }
        let segment = JpegSegment::new_with_contents(markers::APP1, contents.into());
        match place {
            Some(place) => segments[place] = segment,
            // Behind JFIF's and EXIF's segments, which come first.
            None => {
                let first = |segment: &JpegSegment| {
                    let exif = segment.contents().starts_with(b"Exif\0");
                    segment.marker() == markers::APP0 || (segment.marker() == markers::APP1 && exif)
                };
                let place = segments.iter().take_while(|segment| first(segment)).count();
                segments.insert(place, segment);
            }
        }
        jpeg.encoder().bytes()
    } else if file.starts_with(b"\x89PNG") {
        let mut png = Png::from_bytes(bytes).map_err(broken)?;
        let is_packet =
            |chunk: &PngChunk| chunk.kind() == *b"iTXt" && chunk.contents().starts_with(KEYWORD);
        let chunks = png.chunks_mut();
        let place = chunks.iter().position(is_packet);
        let old = place.map(|place| &chunks[place].contents()[KEYWORD.len()..]);
        let Some(new) = packet(old)? else {
            return Ok(None);
        };
        let chunk = PngChunk::new(*b"iTXt", [KEYWORD, new.as_bytes()].concat().into());
        match place {
            Some(place) => chunks[place] = chunk,
            None => chunks.insert(1.min(chunks.len()), chunk), // behind the header
        }
        png.encoder().bytes()
    } else if file.starts_with(b"RIFF") {
        let mut webp = WebP::from_bytes(bytes).map_err(broken)?;
        let chunks = webp.chunks_mut();
        let is_packet = |chunk: &RiffChunk| chunk.id() == *b"XMP ";
        let place = chunks.iter().position(is_packet);
        let old = place.and_then(|place| chunks[place].content().data());
        let Some(new) = packet(old.map(|old| old.as_ref()))? else {
            return Ok(None);
        };
        // Only the extended layout has metadata; bit 2 of its flags says that there is XMP.
        let header = chunks.iter_mut().find(|chunk| chunk.id() == *b"VP8X");
        let Some(header) = header else {
            return Err(
                "it is a simple WebP, which holds no metadata; --sidecar writes a text file".into(),
            );
        };
        let mut flags = header
            .content()
            .data()
            .map(|data| data.to_vec())
            .unwrap_or_default();
        if let Some(first) = flags.first_mut() {
            *first |= 4;
        }
        *header = RiffChunk::new(*b"VP8X", RiffContent::Data(flags.into()));
        let chunk = RiffChunk::new(*b"XMP ", RiffContent::Data(new.into_bytes().into()));
        match place {
            Some(place) => chunks[place] = chunk,
            None => chunks.push(chunk),
        }
        webp.encoder().bytes()
    } else {
        return Err(
            "only JPEG, PNG and WebP hold a description here; --sidecar writes a text file".into(),
        );
    };
    Ok(Some(described.to_vec()))
}

/// Takes IPTC's captions out; returns whether there were any.
fn take_out_iptc(segments: &mut [JpegSegment], replace: bool) -> Result<bool, String> {
    let mut changed = false;
    for segment in segments {
        let is_photoshop = segment.marker() == markers::APP13;
        let without = is_photoshop.then(|| iptc::without_caption(segment.contents()));
        if let Some(without) = without.flatten() {
            if !replace {
                return Err(OTHER.into());
            }
            *segment = JpegSegment::new_with_contents(markers::APP13, without.into());
            changed = true;
        }
    }
    Ok(changed)
}

/// The packet in a JPEG's segment, if it is one. Some sites damage the first bytes of the name
/// before it.
fn packet_of(segment: &JpegSegment) -> Option<&[u8]> {
    let end = &NAMESPACE[8..]; // without "http://n"
    let contents = segment.contents().as_ref();
    let mut places = contents.windows(end.len()).take(16);
    let place = places.position(|part| segment.marker() == markers::APP1 && part == end)?;
    Some(&contents[place + end.len()..])
}

/// A packet with this description and all that was in the old one; `None` if that has it.
fn packet(old: Option<&[u8]>, caption: &str, replace: bool) -> Result<Option<String>, String> {
    let description = format!(
        "<dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt></dc:description>",
        escaped(caption)
    );
    let Some(old) = old else {
        return Ok(Some(format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n<rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">{description}</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>"
        )));
    };
    let strange = "its XMP packet is of a form that is not understood";
    let mut text = std::str::from_utf8(old).map_err(|_| strange)?.to_owned();
    if text.contains(&description) {
        return Ok(None);
    }
    if text.contains("dc:description") {
        if !replace {
            return Err(OTHER.into());
        }
        let end = "</dc:description>";
        let element = (text
            .find("<dc:description>")
            .or_else(|| text.find("<dc:description ")))
        .zip(text.find(end).map(|place| place + end.len()));
        let (begin, end) = element.filter(|(begin, end)| begin < end).ok_or(strange)?;
        text.replace_range(begin..end, "");
        if text.contains("dc:description") {
            return Err(strange.into());
        }
    }
    let place = text.rfind("</rdf:RDF>").ok_or(strange)?;
    let added = format!(
        "<rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">{description}</rdf:Description>\n"
    );
    text.insert_str(place, &added);
    Ok(Some(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};
    use std::io::Cursor;

    fn picture(format: ImageFormat) -> Vec<u8> {
        let pixel = |x, y| Rgb([(x * 9) as u8, (y * 7) as u8, 90]);
        let mut bytes = Cursor::new(Vec::new());
        let picture = RgbImage::from_fn(20, 30, pixel);
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_description_changes_no_other_byte() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let file = picture(format);
            let described = describe(&file, "a <dog> & 犬", false).unwrap().unwrap();
            // The file is the old one with some bytes more at one place.
            let same = file
                .iter()
                .zip(&described)
                .take_while(|(a, b)| a == b)
                .count();
            let more = described.len() - file.len();
            assert_eq!(described[same + more..], file[same..], "{format:?}");
            let text = String::from_utf8_lossy(&described);
            assert!(text.contains("a &lt;dog&gt; &amp; 犬</rdf:li>"));
            assert_eq!(describe(&described, "a <dog> & 犬", false), Ok(None));
            let again = image::load_from_memory(&described).unwrap();
            assert_eq!(again, image::load_from_memory(&file).unwrap());
        }
    }

    #[test]
    fn what_others_have_written_stays() {
        let file = picture(ImageFormat::Jpeg);
        let described = describe(&file, "a dog", false).unwrap().unwrap();
        let refused = describe(&described, "a cat", false).unwrap_err();
        assert!(refused.contains("--replace"), "{refused}");
        let replaced = describe(&described, "a cat", true).unwrap().unwrap();
        let text = String::from_utf8_lossy(&replaced);
        assert!(text.contains("a cat") && !text.contains("a dog"));
        let rated = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" xmp:Rating=\"5\"/></rdf:RDF></x:xmpmeta>";
        let kept = packet(Some(rated.as_bytes()), "a dog", false)
            .unwrap()
            .unwrap();
        assert!(kept.contains("xmp:Rating=\"5\"") && kept.contains("a dog"));
        for strange in ["no packet", "<rdf:RDF dc:description='x'></rdf:RDF>"] {
            assert!(
                packet(Some(strange.as_bytes()), "a dog", true).is_err(),
                "{strange}"
            );
        }
        assert!(packet(Some(b"\xff"), "a dog", true).is_err());
    }

    #[test]
    fn a_caption_in_iptc_is_another_description() {
        let file = picture(ImageFormat::Jpeg);
        let iptc = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x09\x1c\x02\x78\0\x04mine\0";
        let strange = b"XMP\0://ns.adobe.com/xap/1.0/\0<rdf:RDF></rdf:RDF>";
        let mut jpeg = Jpeg::from_bytes(file.into()).unwrap();
        for (marker, contents) in [(markers::APP13, &iptc[..]), (markers::APP1, strange)] {
            let segment = JpegSegment::new_with_contents(marker, contents.into());
            jpeg.segments_mut().insert(1, segment);
        }
        let file = jpeg.encoder().bytes();
        let refused = describe(&file, "a dog", false).unwrap_err();
        assert!(refused.contains("--replace"), "{refused}");
        let replaced = describe(&file, "a dog", true).unwrap().unwrap();
        let has = |text: &[u8]| {
            replaced
                .windows(text.len())
                .filter(|part| *part == text)
                .count()
        };
        assert_eq!((has(b"mine"), has(b"a dog"), has(b"</rdf:RDF>")), (0, 1, 1));
        assert_eq!((has(NAMESPACE), has(b"XMP\0")), (1, 0));
    }

    #[test]
    fn files_without_room_for_it_are_named() {
        for format in [ImageFormat::Bmp, ImageFormat::WebP] {
            let error = describe(&picture(format), "a dog", false).unwrap_err();
            assert!(error.contains("--sidecar"), "{error}");
        }
        assert!(describe(b"\xff\xd8\xff", "a dog", false).is_err());
        assert!(describe(b"\x89PNG", "a dog", false).is_err());
        assert!(describe(b"RIFF", "a dog", false).is_err());
    }
}
