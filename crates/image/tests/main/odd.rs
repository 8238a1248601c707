//! JPEGs and PNGs that break the format's rules but have every pixel, and some that only seem
//! to have every pixel.

use crate::{code, decode_fixture, read};
use attend_image::{DecodeOptions, Photograph, decode, load};

/// Position of a JPEG's first marker of this kind.
pub fn marker(jpeg: &[u8], kind: u8) -> usize {
    let mut at = 2;
    while jpeg[at + 1] != kind {
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    at
}

/// The JPEG without its segments of this kind, before the first scan.
pub fn without(jpeg: &[u8], kind: u8) -> Vec<u8> {
    let (mut kept, mut at) = (jpeg[..2].to_vec(), 2);
    while jpeg[at + 1] != 0xda {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != kind {
            kept.extend(&jpeg[at..end]);
        }
        at = end;
    }
    kept.extend(&jpeg[at..]);
    kept
}

fn insert(jpeg: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&jpeg[..at], bytes, &jpeg[at..]].concat()
}

fn segment(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, kind], &length[..], body].concat()
}

const JPEGS: [&str; 5] = [
    "rgb420.jpg",
    "progressive.jpg",
    "arithmetic.jpg",
    "restarts.jpg",
    "cmyk.jpg",
];

/// Copies of the JPEG, each with one oddity in its header that changes no pixel.
fn odd_headers(jpeg: &[u8]) -> Vec<Vec<u8>> {
    let mut odd = Vec::new();
    for kind in [0xdb, 0xda] {
        let at = marker(jpeg, kind);
        for bytes in [
            &[0][..],
            &[0x12, 0x34, 0x56],
            &[0xff, 0],
            &[0; 300],
            &[0xff; 3],
        ] {
            odd.push(insert(jpeg, at, bytes));
        }
    }
    let jfif = [
        "JFIF\0\x03\x01\0\0\x01\0\x01\0\0",
        "JFIF\0\0\0\0\0\x01\0\x01\0\0",
    ];
    for body in jfif {
        let rest = without(jpeg, 0xe0);
        odd.push(insert(&rest, 2, &segment(0xe0, body.as_bytes())));
    }
    for body in [&b"ICC_PROFILE\0\x02\x02xxxx"[..], b"ICC_PROFILE\0\0\0xxxx"] {
        odd.push(insert(jpeg, 2, &segment(0xe2, body)));
    }
    odd.push(insert(jpeg, 2, &segment(0xfe, b"a comment")));
    odd.push(insert(jpeg, 2, &segment(0xe5, b"")));
    odd
}

#[test]
fn odd_headers_change_no_pixel() {
    for name in JPEGS {
        let jpeg = read(name);
        let whole = decode_fixture(name, &DecodeOptions::default());
        let mut odd = odd_headers(&jpeg);
        if name != "progressive.jpg" {
            let mut spectrum = jpeg.clone();
            let scan = marker(&jpeg, 0xda);
            let end = scan + 2 + usize::from(jpeg[scan + 3]);
            spectrum[end - 2] = 0;
            odd.push(spectrum);
        }
        if name == "cmyk.jpg" {
            odd.retain(|jpeg| !jpeg[..20].windows(4).any(|four| four == b"JFIF"));
        }
        for (number, bytes) in odd.iter().enumerate() {
            let options = DecodeOptions {
                refuse_damaged: true,
                ..DecodeOptions::default()
            };
            let found = decode(bytes, &options).map_err(|error| error.to_string());
            assert_eq!(found.as_ref(), Ok(&whole), "{name}, oddity {number}");
        }
    }
}

#[test]
fn no_oddity_hides_that_half_is_missing() {
    for name in JPEGS.into_iter().filter(|name| *name != "arithmetic.jpg") {
        let jpeg = read(name);
        let half = (marker(&jpeg, 0xda) + jpeg.len()) / 2;
        let ended = |cut: &[u8]| [cut, &[0xff, 0xd9]].concat();
        let trailer = segment(0xe3, b"of the maker");
        let cut = &jpeg[..half];
        if name != "progressive.jpg" {
            let plain = code(&ended(cut));
            assert_ne!(plain, "accepted", "{name}");
            for odd in odd_headers(&jpeg) {
                let odd = &odd[..odd.len() - (jpeg.len() - half)];
                assert_eq!(code(&ended(odd)), plain, "{name}");
            }
        }
        let zeros = [0; 9999];
        for (number, behind) in [&[][..], &trailer, &zeros, &zeros[..50]].iter().enumerate() {
            let cut = [cut, behind].concat();
            assert_ne!(code(&cut), "accepted", "{name}, {number}");
        }
    }
}

/// The photograph and its damage.
fn damaged(bytes: &[u8]) -> (Photograph, String) {
    let photograph = decode(bytes, &DecodeOptions::default()).unwrap();
    let damage = load(bytes, &DecodeOptions::default(), 8, 8).unwrap().damage;
    let refusing = DecodeOptions {
        refuse_damaged: true,
        ..DecodeOptions::default()
    };
    let refused = decode(bytes, &refusing).unwrap_err();
    assert_eq!(
        (refused.code(), damage.as_ref()),
        ("corrupt", Some(&refused.to_string()))
    );
    (photograph, damage.unwrap())
}

#[test]
fn a_wrong_restart_marker_is_passed_over_where_libjpeg_finds_its_way() {
    let jpeg = read("restarts.jpg");
    let whole = decode_fixture("restarts.jpg", &DecodeOptions::default());
    let scan = marker(&jpeg, 0xda);
    let is_restart = |at: &usize| jpeg[*at] == 0xff && (0xd0..=0xd7).contains(&jpeg[at + 1]);
    let at = (scan..jpeg.len() - 1).filter(is_restart).nth(1).unwrap() + 1;
    for off in 1..8 {
        let mut wrong = jpeg.clone();
        wrong[at] = 0xd0 | (jpeg[at] + off) & 7;
        if (3..=5).contains(&off) {
            assert_eq!(
                damaged(&wrong),
                (whole.clone(), "wrong restart markers".into())
            );
        } else {
            // libjpeg then assumes that a marker was lost or repeated.
            assert_eq!(code(&wrong), "corrupt", "{off}");
        }
    }
}

#[test]
fn a_makers_trailer_in_the_end_markers_place() {
    let thumbnail = read("grey.jpg");
    for name in ["rgb420.jpg", "restarts.jpg", "cmyk.jpg"] {
        let jpeg = read(name);
        let whole = decode_fixture(name, &DecodeOptions::default());
        let open = &jpeg[..jpeg.len() - 2];
        for trailer in [
            &b"\0\0\x01\x0a\x0eImage_UTC_DataSEFT"[..],
            &[0; 50],
            &thumbnail,
        ] {
            let found = damaged(&[open, trailer].concat());
            assert_eq!(found, (whole.clone(), "no end marker".into()), "{name}");
        }
        assert_eq!(code(open), "truncated");
        let mut complete = jpeg.clone();
        complete.extend(b"SEFT");
        assert_eq!(decode(&complete, &DecodeOptions::default()).unwrap(), whole);
    }
}

#[test]
fn a_png_without_its_end_or_checksum() {
    for name in ["rgba.png", "palette.png", "rgb16.png"] {
        let png = read(name);
        let whole = decode_fixture(name, &DecodeOptions::default());
        let cut = |bytes: usize| png[..png.len() - bytes].to_vec();
        let mut sum = png.clone();
        sum[png.len() - 14] ^= 1; // after the pixels
        for (bytes, damage) in [
            (cut(12), "no end chunk"),
            (cut(8), "no end chunk"),
            (cut(14), "no checksum of the pixels and no end chunk"),
            (cut(18), "no checksum of the pixels and no end chunk"),
            (sum, "wrong checksum of the pixels"),
        ] {
            assert_eq!(damaged(&bytes), (whole.clone(), damage.into()), "{name}");
        }
        assert_eq!(code(&cut(40)), "truncated", "{name}");
        // The pixels' own checksum.
        let mut flipped = png.clone();
        flipped[png.len() - 17] ^= 1;
        assert_eq!(code(&flipped), "corrupt", "{name}");
    }
}

#[test]
fn orientation_wherever_it_stands() {
    let turning = DecodeOptions {
        exif_orientation: true,
        ..DecodeOptions::default()
    };
    let size = |bytes: &[u8]| {
        let photograph = decode(bytes, &turning).unwrap();
        (photograph.width, photograph.height)
    };
    // One entry, a number of two bytes or four; big-endian.
    let exif = |kind: u8, value: &[u8; 4]| {
        let entry = [&[1, 0x12, 0, kind, 0, 0, 0, 1], &value[..]].concat();
        [b"MM\0*\0\0\0\x08\0\x01", &*entry, &[0; 4]].concat()
    };
    let (short, long) = (exif(3, &[0, 6, 0, 0]), exif(4, &[0, 0, 0, 6]));
    let upright = exif(3, &[0, 1, 0, 0]);
    let xmp = |value: &str| format!("<rdf tiff:Orientation{value}/>").into_bytes();
    let jpeg = |blocks: &[&[u8]]| {
        let blocks: Vec<u8> = blocks.iter().flat_map(|body| segment(0xe1, body)).collect();
        insert(&read("rgb420.jpg"), 2, &blocks)
    };
    let in_exif = |block: &[u8]| [b"Exif\0\0", block].concat();
    let in_xmp = |value| [&b"http://ns.adobe.com/xap/1.0/\0"[..], &xmp(value)].concat();
    assert_eq!(size(&jpeg(&[&in_exif(&short)])), (61, 75));
    assert_eq!(size(&jpeg(&[&in_exif(&long)])), (61, 75));
    assert_eq!(size(&jpeg(&[&in_xmp("=\"8\"")])), (61, 75));
    assert_eq!(size(&jpeg(&[&in_xmp(">5<")])), (61, 75));
    let both = [&in_xmp("=\"6\"")[..], &in_exif(&upright)];
    assert_eq!(size(&jpeg(&both)), (75, 61), "EXIF goes before XMP");

    let png = read("rgba.png");
    let chunk = |kind: &[u8], body: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(body);
        let length = (body.len() as u32).to_be_bytes();
        [&length, kind, body, &sum.sum().to_be_bytes()].concat()
    };
    let end = png.len() - 12;
    for at in [33, end] {
        assert_eq!(size(&insert(&png, at, &chunk(b"eXIf", &long))), (61, 75));
        let text = [&b"XML:com.adobe.xmp\0\0\0\0\0"[..], &xmp("=\"6\"")].concat();
        assert_eq!(size(&insert(&png, at, &chunk(b"iTXt", &text))), (61, 75));
        let digits: String = in_exif(&short)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let text = format!("Raw profile type exif\0\nexif\n      32\n{digits}\n");
        assert_eq!(
            size(&insert(&png, at, &chunk(b"tEXt", text.as_bytes()))),
            (61, 75)
        );
    }
    assert_eq!(decode(&png, &DecodeOptions::default()).unwrap().width, 75);
}
