//! Resizing to the model's image size.

use crate::photograph::Photograph;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use multiversion::multiversion;
use std::cell::RefCell;

thread_local! {
    // Keeps the buffer between its two passes.
    static RESIZER: RefCell<Resizer> = RefCell::default();
}

/// Resizes to uint8 (height, width, 4) without keeping the aspect ratio, as the tutorial
/// does. Bilinear, with the support widened by the scale: that is, with antialiasing.
/// Equals Pillow's `resize((width, height), BILINEAR)` within 1 per channel, except for
/// about one value in ten million that differs by 2 (COCO photographs at 256 x 256). Both
/// work in fixed point, but with weights of 15 and 22 bits and with the two axes in a
/// different order.
///
/// # Panics
/// If `photograph.rgbx` is not (H, W, 4), which [`crate::decode`] never returns.
pub fn resize(photograph: &Photograph, height: u32, width: u32) -> Vec<u8> {
    let mut target = Vec::new();
    resize_into(photograph, height, width, &mut target);
    target
}

/// [`resize`] into an existing buffer.
#[expect(
    clippy::expect_used,
    reason = "both images are U8x4 and of the right length"
)]
pub(crate) fn resize_into(photograph: &Photograph, height: u32, width: u32, pixels: &mut Vec<u8>) {
    let (w, h) = (photograph.width, photograph.height);
    assert_eq!(
        photograph.rgbx.len(),
        w as usize * h as usize * 4,
        "not {h} x {w} pixels"
    );
    pixels.resize(height as usize * width as usize * 4, 0);
    let bilinear = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false);
    // Of one type of pixels: for an image of any type, the code for all of them would be
    // compiled, which takes a minute.
    let source = TypedImageRef::<U8x4>::from_buffer(w, h, &photograph.rgbx);
    let source = source.expect("4 bytes a pixel");
    let target = TypedImage::<U8x4>::from_buffer(width, height, pixels);
    let mut target = target.expect("4 bytes a pixel");
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(&source, &mut target, &bilinear))
        .expect("equal types of pixels");
}

/// Reorders (H, W, 4) to (3, H, W), the order in shards and in the encoder, without the
/// fourth byte.
pub fn to_planar(pixels: &[u8], height: u32, width: u32) -> Vec<u8> {
    let cells = height as usize * width as usize;
    let mut planar = vec![0; 3 * cells];
    let (red, rest) = planar.split_at_mut(cells);
    let (green, blue) = rest.split_at_mut(cells);
    split(pixels, red, green, blue);
    planar
}

/// The picture of pixels that [`to_planar`] ordered.
///
/// # Panics
/// If there are not 3 bytes a pixel.
pub fn of_planar(planar: &[u8], height: u32, width: u32) -> Photograph {
    let cells = height as usize * width as usize;
    assert_eq!(planar.len(), 3 * cells, "not 3 x {height} x {width}");
    let (red, rest) = planar.split_at(cells);
    let (green, blue) = rest.split_at(cells);
    let pixels = red.iter().zip(green).zip(blue);
    Photograph {
        width,
        height,
        full: (width, height),
        rgbx: pixels.flat_map(|((r, g), b)| [*r, *g, *b, 255]).collect(),
    }
}

/// The compiler vectorises this with shuffles, if the processor has them.
#[multiversion(targets("x86_64+avx2", "x86_64+ssse3"))]
fn split(pixels: &[u8], red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
    let pixels = pixels.as_chunks::<4>().0.iter();
    for (((pixel, r), g), b) in pixels.zip(red).zip(green).zip(blue) {
        [*r, *g, *b, _] = *pixel;
    }
}
