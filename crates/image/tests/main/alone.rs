//! The result for a file does not depend on what was decoded before it.

use crate::{code, odd, read};
use attend_image::{DecodeOptions, load};
use proptest::prelude::*;
use std::sync::LazyLock;

/// A decoded picture, or why there is none.
type Verdict = Result<attend_image::Loaded, String>;

fn verdict(bytes: &[u8], fast: bool) -> Verdict {
    let options = DecodeOptions {
        exif_orientation: true,
        fast: fast.then_some((20, 20)),
        ..DecodeOptions::default()
    };
    load(bytes, &options, 20, 20).map_err(|error| format!("{}: {error}", error.code()))
}

/// Valid files, and files after which a reused decoder is broken or keeps their tables.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let good = [
        "rgb420.jpg",
        "rgb444.jpg",
        "progressive.jpg",
        "arithmetic.jpg",
        "restarts.jpg",
        "grey.jpg",
        "cmyk.jpg",
        "exif6.jpg",
        "palette.png",
        "palette4.tif",
        "offset.gif",
        "lossy.webp",
    ];
    let jpeg = read("rgb420.jpg");
    let frame = odd::marker(&jpeg, 0xc0);
    let patched = |at: usize, with: &[u8]| {
        let mut jpeg = jpeg.clone();
        jpeg[at..at + with.len()].copy_from_slice(with);
        jpeg
    };
    let mut files: Vec<_> = good.iter().map(|name| read(name)).collect();
    files.extend([
        [&jpeg[..2], &jpeg].concat(), // two SOI
        odd::without(&jpeg, 0xdb),    // quantisation tables
        odd::without(&jpeg, 0xc4),    // Huffman tables: the standard ones
        odd::without(&read("grey.jpg"), 0xdb),
        patched(frame + 1, &[0xf7]), // JPEG-LS
        patched(frame + 1, &[0xc3]), // lossless
        patched(frame + 4, &[10]),   // bits
        patched(frame + 4, &[12]),
        patched(frame + 5, &[0, 0]), // rows, named later (DNL)
        patched(frame + 7, &[0, 0]), // columns
        patched(frame + 9, &[5]),    // components
        patched(odd::marker(&jpeg, 0xc4) + 5, &[255; 16]),
        read("cut.jpg"),
        read("ends-early.jpg"),
        read("cut.png"),
        jpeg[..frame].to_vec(),
        [&jpeg[..odd::marker(&jpeg, 0xda)], &[0xff, 0xd9]].concat(), // tables alone
        Vec::new(),
    ]);
    files
});

/// Decodes each on a thread of its own.
static ALONE: LazyLock<Vec<[Verdict; 2]>> = LazyLock::new(|| {
    let alone = |file: &Vec<u8>| {
        [false, true].map(|fast| {
            let file = file.clone();
            std::thread::spawn(move || verdict(&file, fast))
                .join()
                .unwrap()
        })
    };
    FILES.iter().map(alone).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_order_any_neighbours_any_threads(
        threads in prop::collection::vec(
            prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..40),
            1..5,
        )
    ) {
        std::thread::scope(|scope| {
            for files in &threads {
                scope.spawn(move || {
                    for (file, fast) in files {
                        let file = file.index(FILES.len());
                        let now = verdict(&FILES[file], *fast);
                        assert_eq!(now, ALONE[file][usize::from(*fast)], "file {file}");
                    }
                });
            }
        });
    }
}

#[test]
fn no_tables_of_another_photograph() {
    let good = read("rgb420.jpg");
    for name in ["rgb420.jpg", "grey.jpg", "progressive.jpg", "cmyk.jpg"] {
        assert_eq!(code(&good), "accepted");
        let bare = odd::without(&read(name), 0xdb);
        assert_eq!(code(&bare), "corrupt", "{name}");
    }
}
