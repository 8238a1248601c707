//! Compares with Pillow: fixtures/generate.py wrote the files and the pixels that Pillow
//! decodes from them.

#![allow(clippy::unwrap_used, clippy::panic)] // a helper that fails fails its test

mod alone;
mod named;
mod odd;

use attend_image::{DecodeError, DecodeOptions, Photograph, decode, load, resize, to_planar};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn decode_fixture(name: &str, options: &DecodeOptions) -> Photograph {
    decode(&read(name), options).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The largest difference in any channel at 24 x 32.
fn difference(name: &str, expected: &str, options: &DecodeOptions) -> u8 {
    let ours = resize(&decode_fixture(name, options), 24, 32);
    let ours: Vec<u8> = (ours.as_chunks::<4>().0.iter())
        .flat_map(|[rgb @ .., _]| *rgb)
        .collect();
    let pillows = read(expected);
    assert_eq!(ours.len(), pillows.len(), "{name}");
    ours.iter()
        .zip(&pillows)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap()
}

#[test]
fn pixels_are_pillows() {
    // At most 1: each pass of the resize rounds once, on both sides, and the decoders agree
    // (that of lossy WebP is not Pillow's, but just as close here).
    let names = [
        "rgb420.jpg",
        "rgb422.jpg",
        "rgb444.jpg",
        "progressive.jpg",
        "grey.jpg",
        "cmyk.jpg",
        "ycck.jpg",
        "exif6.jpg",
        "extraneous.jpg",
        "palette.png",
        "palette-transparent.png",
        "grey.png",
        "bilevel.png",
        "rgba.png",
        "grey-alpha.png",
        "rgb16.png",
        "grey16.png",
        "rgb.gif",
        "lossless.webp",
        "lossy.webp",
        "arithmetic.jpg",
        "restarts.jpg",
        "offset.gif",
        "bilevel.tif",
        "palette.tif",
        "palette4.tif",
        "grey-alpha.tif",
        "float.tif",
        "cmyk.tif",
        "ycbcr.tif",
        "premultiplied.tif",
        "zstd.tif",
        "big.tif",
        "turned.tif",
    ];
    for name in names {
        let found = difference(name, &format!("{name}.rgb"), &DecodeOptions::default());
        assert!(found <= 1, "{name}: differs by {found}");
    }
}

/// With `fast`, a picture at least twice as large as required is decoded to half its size,
/// like Pillow's `draft` (except for colours that must be upsampled even then, 4:2:2). A
/// smaller one is decoded at full size, with the same pixels unless colours have to be
/// upsampled.
#[test]
fn fast_is_libjpegs_scaling() {
    let fast = DecodeOptions {
        fast: Some((32, 24)),
        ..DecodeOptions::default()
    };
    for name in ["rgb420.jpg", "rgb444.jpg", "progressive.jpg", "grey.jpg"] {
        let photograph = decode_fixture(name, &fast);
        assert_eq!((photograph.width, photograph.height), (38, 31), "{name}");
        assert_eq!(photograph.full, (75, 61));
        let found = difference(name, &format!("{name}.half.rgb"), &fast);
        assert!(found <= 1, "{name}: differs by {found}");
    }
    let whole = DecodeOptions {
        fast: Some((75, 30)),
        ..DecodeOptions::default()
    };
    for name in ["rgb444.jpg", "grey.jpg", "palette.png"] {
        let exact = decode_fixture(name, &DecodeOptions::default());
        assert_eq!(decode_fixture(name, &whole), exact, "{name}");
    }
    let loaded = load(&read("rgb420.jpg"), &fast, 24, 32).unwrap();
    let resized = resize(&decode_fixture("rgb420.jpg", &fast), 24, 32);
    assert_eq!((loaded.width, loaded.height), (75, 61));
    assert_eq!(loaded.planar, to_planar(&resized, 24, 32));
}

#[test]
fn exif_orientation_is_a_switch() {
    let turning = DecodeOptions {
        exif_orientation: true,
        ..DecodeOptions::default()
    };
    assert!(difference("exif6.jpg", "exif6.jpg.turned.rgb", &turning) <= 1);
    let (plain, turned) = (
        decode_fixture("exif6.jpg", &DecodeOptions::default()),
        decode_fixture("exif6.jpg", &turning),
    );
    assert_eq!((plain.width, plain.height), (75, 61));
    assert_eq!((turned.width, turned.height), (61, 75));
    // A file without EXIF stays as it is.
    assert_eq!(decode_fixture("rgb420.jpg", &turning).width, 75);
}

fn code(bytes: &[u8]) -> &'static str {
    decode(bytes, &DecodeOptions::default()).map_or_else(|e| e.code(), |_| "accepted")
}

#[test]
fn refused_files_have_reason_codes() {
    for (name, reason) in [
        ("cut.jpg", "truncated"),
        ("no-end.jpg", "truncated"),
        ("ends-early.jpg", "truncated"),
        ("cut.png", "truncated"),
        ("cut.webp", "truncated"),
        ("flipped.png", "corrupt"),
    ] {
        assert_eq!(code(&read(name)), reason, "{name}");
    }
    assert_eq!(code(b""), "truncated");
    assert_eq!(
        code(b"This is a text file, whatever its name says.\n"),
        "unsupported"
    );
    assert_eq!(
        code(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "unsupported"
    );
}

#[test]
fn too_many_pixels_are_refused_before_decoding() {
    for name in ["rgb420.jpg", "rgb16.png", "lossless.webp"] {
        let error = decode(
            &read(name),
            &DecodeOptions {
                max_pixels: 75 * 61 - 1,
                ..Default::default()
            },
        );
        assert!(
            matches!(
                error,
                Err(DecodeError::TooLarge {
                    width: 75,
                    height: 61,
                    limit: 4574
                })
            ),
            "{name}"
        );
        assert!(
            decode(
                &read(name),
                &DecodeOptions {
                    max_pixels: 75 * 61,
                    ..Default::default()
                }
            )
            .is_ok()
        );
    }
}

/// No truncation and no flipped byte makes the decoder panic, and a truncated JPEG is never
/// taken for a whole one.
#[test]
fn damaged_files_never_panic() {
    for name in [
        "rgb420.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "palette.png",
        "lossless.webp",
        "rgb.gif",
    ] {
        let whole = read(name);
        for cut in (0..whole.len()).step_by(7) {
            let result = decode(&whole[..cut], &DecodeOptions::default());
            assert!(
                result.is_err() || !name.ends_with(".jpg"),
                "{name} cut at {cut} was accepted"
            );
        }
        for at in (0..whole.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x5a;
            if let Ok(photograph) = decode(
                &damaged,
                &DecodeOptions {
                    max_pixels: 1 << 22,
                    ..Default::default()
                },
            ) {
                assert_eq!(resize(&photograph, 8, 8).len(), 8 * 8 * 4);
            }
        }
    }
}

#[test]
fn planes_hold_the_channels_in_turn() {
    let pixels: Vec<u8> = (0..40 * 4).collect(); // (4, 10, 4)
    let channel = |c: u8| (0..40).map(move |i| 4 * i + c);
    let expected: Vec<u8> = (0..3).flat_map(channel).collect();
    assert_eq!(to_planar(&pixels, 4, 10), expected);
}

#[test]
fn a_picture_of_the_right_size_is_not_touched() {
    let photograph = decode_fixture("rgb444.jpg", &DecodeOptions::default());
    assert_eq!(resize(&photograph, 61, 75), photograph.rgbx);
}

#[test]
fn a_thumbnail_is_the_picture_that_was_seen() {
    let gradient = |at: u32| [at * 4, at * 2, 255 - at * 4].map(|value| value as u8);
    let planes: Vec<[u8; 3]> = (0..48 * 32).map(|at| gradient(at % 48)).collect();
    let planar: Vec<u8> = (0..3)
        .flat_map(|c| planes.iter().map(move |p| p[c]))
        .collect();
    let picture = attend_image::of_planar(&planar, 32, 48);
    assert_eq!(attend_image::to_planar(&picture.rgbx, 32, 48), planar);
    let jpeg = attend_image::jpeg(&picture, 95).unwrap();
    let seen = attend_image::decode(&jpeg, &attend_image::DecodeOptions::default()).unwrap();
    assert_eq!((seen.height, seen.width), (32, 48));
    let pairs = seen.rgbx.chunks(4).zip(picture.rgbx.chunks(4));
    let difference = |(a, b): (&[u8], &[u8])| (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap();
    let largest = pairs.map(difference).max().unwrap();
    assert!(largest < 20, "{largest}");
}
