//! To the size that the model sees.

use crate::Photograph;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use multiversion::multiversion;
use std::cell::RefCell;

thread_local! {
    // Keeps the buffer between the two passes.
    static RESIZER: RefCell<Resizer> = RefCell::default();
}

/// Resizes to uint8 (height, width, 3), without keeping the aspect ratio (the
/// tutorial's way). Bilinear with the support widened by the scale, that is with
/// antialiasing. Equals Pillow's `resize((width, height), BILINEAR)` within 1
/// per channel, but for about one value in ten million that differs by 2 (COCO
/// photographs at 256 x 256): both work in fixed point, with weights of 15 and
/// 22 bits and the two axes in a different order.
///
/// # Panics
/// Where `photograph.rgb` is not (H, W, 3); [`crate::decode`] never gives such.
pub fn resize(photograph: &Photograph, height: u32, width: u32) -> Vec<u8> {
    let mut target = Vec::new();
    resize_into(photograph, height, width, &mut target);
    target
}

/// [`resize`] into memory that is there already.
pub(crate) fn resize_into(photograph: &Photograph, height: u32, width: u32, into: &mut Vec<u8>) {
    let (w, h) = (photograph.width, photograph.height);
    assert_eq!(
        photograph.rgb.len(),
        w as usize * h as usize * 3,
        "not {h} x {w} RGB"
    );
    into.resize(height as usize * width as usize * 3, 0);
    let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // None of these can fail on two U8x3 images of the right length.
    let source = ImageRef::new(w, h, &photograph.rgb, PixelType::U8x3);
    let target = Image::from_slice_u8(width, height, into, PixelType::U8x3);
    if let (Ok(source), Ok(mut target)) = (source, target) {
        let _ = RESIZER.with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &bilinear));
    }
}

/// (H, W, 3) to (3, H, W), the order that shards and the encoder have.
pub fn to_planar(pixels: &[u8], height: u32, width: u32) -> Vec<u8> {
    let cells = height as usize * width as usize;
    let mut planar = vec![0; 3 * cells];
    let (red, rest) = planar.split_at_mut(cells);
    let (green, blue) = rest.split_at_mut(cells);
    split(pixels, red, green, blue);
    planar
}

/// Blocks of a fixed size, so that the compiler makes shuffles of it where the
/// processor has them.
#[multiversion(targets("x86_64+avx2", "x86_64+ssse3"))]
fn split(pixels: &[u8], red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
    const BLOCK: usize = 32;
    let (blocks, rest) = pixels.as_chunks::<{ 3 * BLOCK }>();
    let (reds, red) = red.as_chunks_mut::<BLOCK>();
    let (greens, green) = green.as_chunks_mut::<BLOCK>();
    let (blues, blue) = blue.as_chunks_mut::<BLOCK>();
    for (((block, r), g), b) in blocks.iter().zip(reds).zip(greens).zip(blues) {
        for i in 0..BLOCK {
            r[i] = block[3 * i];
            g[i] = block[3 * i + 1];
            b[i] = block[3 * i + 2];
        }
    }
    let pixels = rest.as_chunks::<3>().0.iter();
    for (((pixel, r), g), b) in pixels.zip(red).zip(green).zip(blue) {
        [*r, *g, *b] = *pixel;
    }
}
