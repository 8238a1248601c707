//! A photograph lit by the attention: where it is high, the photograph keeps its colours, in a
//! warm light; elsewhere it is dark and grey. Each word's attention is scaled to its own
//! maximum, as in the tutorial's figure.

use crate::text::mix;
use attend_image::Photograph;
use attend_program::{Error, Result};
use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, Rgb, RgbImage, RgbaImage};

/// Brightness where there is no attention, relative to the photograph's.
const DARK: f32 = 0.28;

/// Colour of the light where the attention is high.
const GLOW: Rgb<u8> = Rgb([255, 176, 32]);

/// The colours around the photograph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on white.
    #[default]
    Light,
    /// Light text on near black.
    Dark,
}

impl Theme {
    /// Paper, ink, and pale ink.
    pub(crate) fn colours(self) -> [Rgb<u8>; 3] {
        match self {
            Theme::Light => [[255, 255, 255], [24, 26, 31], [112, 117, 128]],
            Theme::Dark => [[20, 21, 24], [236, 237, 240], [146, 151, 162]],
        }
        .map(Rgb)
    }
}

/// A photograph at this size, [height, width].
pub(crate) fn resized(photograph: &Photograph, [height, width]: [u32; 2]) -> Result<RgbImage> {
    let pixels = attend_image::resize(photograph, height, width);
    let resized = RgbaImage::from_raw(width, height, pixels);
    let resized = resized.ok_or_else(|| Error::internal("a tile of the wrong size"))?;
    Ok(DynamicImage::ImageRgba8(resized).into_rgb8())
}

/// A picture lit by a word's attention over the grid's cells.
///
/// # Errors
/// [`Error::Internal`] if the attention does not have one number per cell.
pub(crate) fn light(picture: &RgbImage, alpha: &[f32], grid: [usize; 2]) -> Result<RgbImage> {
    let mut lit_up = picture.clone();
    let light = spread(alpha, grid, [picture.height(), picture.width()])?;
    for (pixel, light) in lit_up.pixels_mut().zip(light) {
        *pixel = lit(*pixel, light);
    }
    Ok(lit_up)
}

/// The pixel in a light from 0 (dark and nearly grey) to 1 (its colours, in a warm glow).
fn lit(pixel: Rgb<u8>, light: f32) -> Rgb<u8> {
    let [r, g, b] = pixel.0.map(f32::from);
    let grey = (0.299 * r + 0.587 * g + 0.114 * b) as u8;
    let toned = mix(Rgb([grey; 3]), pixel, 0.25 + 0.75 * light);
    let shaded = mix(Rgb([0; 3]), toned, DARK + (1.0 - DARK) * light);
    // The glow shows even on a dark photograph.
    mix(shaded, GLOW, 0.35 * light)
}

/// Interpolates one word's attention from the grid to a tile's pixels, as 0 to 1.
fn spread(alpha: &[f32], grid: [usize; 2], tile: [u32; 2]) -> Result<Vec<f32>> {
    if alpha.len() != grid[0] * grid[1] {
        return Err(Error::internal(format!(
            "attention over {} cells, but the grid is {} x {}",
            alpha.len(),
            grid[0],
            grid[1]
        )));
    }
    let highest = alpha.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let cells = alpha.iter().map(|a| F32::new(a / highest)).collect();
    let source = TypedImage::from_pixels(grid[1] as u32, grid[0] as u32, cells);
    let source = source.map_err(Error::internal)?;
    let mut target = TypedImage::<F32>::new(tile[1], tile[0]);
    let smooth = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Mitchell));
    Resizer::new()
        .resize_typed(&source, &mut target, &smooth)
        .map_err(Error::internal)?;
    let values = target.pixels().iter();
    Ok(values.map(|value| value.0.clamp(0.0, 1.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_attention_lights_all_of_the_photograph() {
        let light = spread(&[0.25; 4], [2, 2], [30, 20]).unwrap();
        assert!(light.iter().all(|light| (light - 1.0).abs() < 1e-5));
    }

    #[test]
    fn light_keeps_colours_and_dark_takes_them() {
        let brown = Rgb([200, 100, 50]);
        // 65 % of the colour, 35 % of (255, 176, 32)
        assert_eq!(lit(brown, 1.0), Rgb([219, 127, 44]));
        // its grey is 124; a quarter of the way back to the colour; 28 % of that
        assert_eq!(lit(brown, 0.0), Rgb([40, 33, 30]));
    }

    #[test]
    fn light_falls_where_the_attention_is() {
        // all of it in the upper right of 2 x 2 cells; a tile of 40 x 60
        let light = spread(&[0.0, 1.0, 0.0, 0.0], [2, 2], [40, 60]).unwrap();
        let at = |row: usize, column: usize| light[row * 60 + column];
        assert!(at(0, 59) > 0.9, "{}", at(0, 59));
        assert!(at(0, 0) < 0.1 && at(39, 59) < 0.1 && at(39, 0) < 0.1);
    }

    #[test]
    fn attention_of_another_grid_is_an_error() {
        assert!(spread(&[1.0], [2, 2], [9, 9]).is_err());
    }
}
