//! To the size that the model sees.

use crate::Photograph;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
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
    let (w, h) = (photograph.width, photograph.height);
    assert_eq!(
        photograph.rgb.len(),
        w as usize * h as usize * 3,
        "not {h} x {w} RGB"
    );
    let mut target = Image::new(width, height, PixelType::U8x3);
    let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // Neither step can fail on two U8x3 images of the right length.
    if let Ok(source) = ImageRef::new(w, h, &photograph.rgb, PixelType::U8x3) {
        let _ = RESIZER.with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &bilinear));
    }
    target.into_vec()
}

/// (H, W, 3) to (3, H, W), the order that shards and the encoder have.
pub fn to_planar(pixels: &[u8], height: u32, width: u32) -> Vec<u8> {
    let cells = height as usize * width as usize;
    let mut planar = vec![0; 3 * cells];
    let (red, rest) = planar.split_at_mut(cells);
    let (green, blue) = rest.split_at_mut(cells);
    for (i, pixel) in pixels.as_chunks::<3>().0.iter().take(cells).enumerate() {
        red[i] = pixel[0];
        green[i] = pixel[1];
        blue[i] = pixel[2];
    }
    planar
}
