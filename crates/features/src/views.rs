//! Views of an image: itself, flipped, and turned. They are permutations of its pixels.

use attend_program::{Error, Result};
use tch::Tensor;

/// Checks `features.views` for images of this height and width, if they are known.
pub(crate) fn check(views: usize, size: Option<[i64; 2]>) -> Result<()> {
    match (views, size) {
        (8, Some([height, width])) if height != width => Err(Error::usage(format!(
            "features.views = 8 turns images by a quarter, but these are {height} x {width}: take 4, or square images (dataset.image_size)"
        ))),
        (1 | 2 | 4 | 8, _) => Ok(()),
        _ => Err(Error::usage(format!(
            "features.views = {views} must be 1, 2, 4 or 8"
        ))),
    }
}

/// The view of these images (B, 3, H, W) with this number, from 0: bit 2 turns it by a quarter,
/// counterclockwise, then bit 1 turns it upside down and bit 0 makes it its mirror image. These
/// are the eight symmetries of a square.
pub(crate) fn turned(pixels: &Tensor, view: usize) -> Tensor {
    let bit = |n: usize| view >> n & 1 == 1;
    let turned = match bit(2) {
        true => pixels.rot90(1, [2, 3]),
        false => pixels.shallow_clone(),
    };
    let axes: Vec<i64> = [(bit(1), 2), (bit(0), 3)]
        .into_iter()
        .filter_map(|(flips, axis)| flips.then_some(axis))
        .collect();
    match axes.is_empty() {
        true => turned,
        false => turned.flip(axes),
    }
    .contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_need_squares() {
        check(8, Some([224, 224])).unwrap();
        check(4, Some([224, 256])).unwrap();
        check(8, None).unwrap();
        let why = check(8, Some([224, 256])).unwrap_err().to_string();
        assert!(why.contains("these are 224 x 256: take 4"), "{why}");
        assert!(check(0, None).is_err());
    }
}
