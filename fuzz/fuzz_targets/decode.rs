//! Decodes two pictures, one after the other on one thread. The second must give the same
//! pixels or the same reason as on a thread of its own, and neither may end the program.
//!
//! Two bytes give the length of the first picture. A picture's first byte chooses how to use
//! the others: as a file, or as damage to a valid one, four bytes per change: position (two),
//! kind of change, value.
#![no_main]

use attend_image::{DecodeOptions, Loaded, load};
use libfuzzer_sys::fuzz_target;

macro_rules! fixtures {
    ($($name:literal)*) => {
        [$(include_bytes!(concat!("../../crates/image/tests/fixtures/", $name))),*]
    };
}

const GOOD: [&[u8]; 16] = fixtures!(
    "rgb420.jpg" "rgb444.jpg" "progressive.jpg" "arithmetic.jpg" "restarts.jpg" "grey.jpg"
    "cmyk.jpg" "exif6.jpg" "rgba.png" "palette.png" "offset.gif" "lossless.webp" "lossy.webp"
    "palette4.tif" "grey-alpha.tif" "ycbcr.tif"
);

fn picture(bytes: &[u8]) -> Vec<u8> {
    let Some((&which, rest)) = bytes.split_first() else {
        return Vec::new();
    };
    let Some(good) = GOOD.get(usize::from(which)) else {
        return rest.to_vec();
    };
    let mut picture = good.to_vec();
    for &[high, low, how, what] in rest.as_chunks::<4>().0 {
        let at = usize::from(u16::from_be_bytes([high, low])) % picture.len().max(1);
        match how % 4 {
            0 if at < picture.len() => picture[at] = what,
            1 => picture.insert(at, what),
            2 => picture.truncate(at),
            _ => drop(picture.drain(at..picture.len().min(at + usize::from(what)))),
        }
    }
    picture
}

fn verdict(bytes: &[u8], fast: bool) -> Result<Loaded, String> {
    let options = DecodeOptions {
        exif_orientation: true,
        max_pixels: 1 << 20,
        fast: fast.then_some((20, 20)),
        refuse_damaged: false,
    };
    load(bytes, &options, 20, 20).map_err(|error| format!("{}: {error}", error.code()))
}

// `decode` catches the panic of a decoder, which must not end the fuzzer.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |data: &[u8]| {
    let Some((&[high, low], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (fast, length) = (high & 0x80 != 0, u16::from_be_bytes([high & 0x7f, low]));
    let (first, second) = rest.split_at(rest.len().min(length.into()));
    let (first, second) = (picture(first), picture(second));
    let _ = verdict(&first, fast);
    let after = verdict(&second, fast);
    let alone = std::thread::scope(|scope| scope.spawn(|| verdict(&second, fast)).join());
    if !alone.is_ok_and(|alone| alone == after) {
        eprintln!("the second picture differs from the same one decoded alone");
        std::process::abort();
    }
});
