//! The attention figure: the photograph, and then, for each word, the photograph lit by the
//! model's attention at that word.
//!
//! Where the attention is high, the photograph keeps its colours, in a warm light; elsewhere
//! it is dark and grey. Each word's attention is scaled to its own maximum, as in the
//! tutorial's figure.

use crate::text::{Face, mix};
use attend_image::Photograph;
use attend_program::{Error, Result};
use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, Rgb, RgbImage, RgbaImage, imageops};

/// Longer side of a tile, in pixels.
const TILE: u32 = 240;
/// Minimum width of a tile's cell, so that a word fits above a narrow tile.
const PLACE: u32 = 140;
const MARGIN: u32 = 32;
const GAP: u32 = 18;
/// Maximum number of tiles in a row.
const COLUMNS: u32 = 6;
/// Brightness where there is no attention, relative to the photograph's.
const DARK: f32 = 0.28;

/// Colour of the light where the attention is high.
const GLOW: Rgb<u8> = Rgb([255, 176, 32]);

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([24, 26, 31]);
const PALE: Rgb<u8> = Rgb([112, 117, 128]);

/// What a figure shows.
pub struct Figure<'a> {
    /// The photograph at its full size.
    pub photograph: &'a Photograph,
    /// Line above the caption, such as the file name.
    pub title: &'a str,
    /// The words, in order.
    pub words: &'a [String],
    /// For each word, its attention over the grid's cells, row by row.
    pub alphas: &'a [Vec<f32>],
    /// Height and width of the grid, which covers the whole photograph.
    pub grid: [usize; 2],
}

/// Sizes of the figure's parts, in pixels, and its rows and columns.
struct Layout {
    tile: [u32; 2],
    place: u32,
    columns: u32,
    rows: u32,
    header: u32,
    label: u32,
}

impl Figure<'_> {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`Error::Internal`] if a word's attention does not have one number per cell.
    pub fn draw(&self) -> Result<RgbImage> {
        let [small, label, caption] = [Face::regular(15.0)?, Face::bold(19.0)?, Face::bold(27.0)?];
        let mut layout = Layout::new(self.photograph, self.words.len() as u32 + 1, &label);
        let inner = layout.width() - 2 * MARGIN;
        let lines = caption.wrap(&self.words.join(" "), inner);
        layout.header = small.line() + 6 + lines.len() as u32 * caption.line() + GAP;

        let mut canvas = RgbImage::from_pixel(layout.width(), layout.height(), PAPER);
        small.draw(
            &mut canvas,
            &small.fit(self.title, inner),
            (MARGIN, MARGIN),
            PALE,
        );
        let mut y = MARGIN + small.line() + 6;
        for line in &lines {
            caption.draw(&mut canvas, line, (MARGIN, y), INK);
            y += caption.line();
        }

        let [height, width] = layout.tile;
        let pixels = attend_image::resize(self.photograph, height, width);
        let photograph = RgbaImage::from_raw(width, height, pixels)
            .ok_or_else(|| Error::internal("a tile of the wrong size"))?;
        let photograph = DynamicImage::ImageRgba8(photograph).into_rgb8();
        layout.put(&mut canvas, 0, &photograph);
        for (i, (word, alpha)) in self.words.iter().zip(self.alphas).enumerate() {
            let mut tile = photograph.clone();
            let light = spread(alpha, self.grid, layout.tile)?;
            for (pixel, light) in tile.pixels_mut().zip(light) {
                *pixel = lit(*pixel, light);
            }
            let (x, y) = layout.put(&mut canvas, i as u32 + 1, &tile);
            let word = label.fit(word, layout.place);
            label.draw(&mut canvas, &word, (x, y - layout.label), INK);
        }
        Ok(canvas)
    }
}

impl Layout {
    fn new(photograph: &Photograph, tiles: u32, label: &Face) -> Layout {
        let (h, w) = (photograph.height as f32, photograph.width as f32);
        let scale = TILE as f32 / h.max(w);
        let side = |length: f32| ((length * scale).round() as u32).max(1);
        let rows = tiles.div_ceil(COLUMNS);
        let tile = [side(h), side(w)];
        Layout {
            tile,
            place: tile[1].max(PLACE),
            // enough columns to leave room for the caption
            columns: tiles.div_ceil(rows).max(3),
            rows,
            header: 0,
            label: label.line() + 4,
        }
    }

    fn width(&self) -> u32 {
        2 * MARGIN + self.columns * (self.place + GAP) - GAP
    }

    fn height(&self) -> u32 {
        2 * MARGIN + self.header + self.rows * (self.label + self.tile[0] + GAP) - GAP
    }

    /// Draws a tile in its place and returns the position of its upper left corner.
    fn put(&self, canvas: &mut RgbImage, index: u32, tile: &RgbImage) -> (u32, u32) {
        let (row, column) = (index / self.columns, index % self.columns);
        let x = MARGIN + column * (self.place + GAP);
        let y = MARGIN + self.header + row * (self.label + self.tile[0] + GAP) + self.label;
        imageops::replace(canvas, tile, x.into(), y.into());
        (x, y)
    }
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

    fn photograph(width: u32, height: u32) -> Photograph {
        let rgbx = [200, 100, 50, 255].repeat(width as usize * height as usize);
        Photograph {
            width,
            height,
            full: (width, height),
            rgbx,
        }
    }

    fn figure(photograph: &Photograph, words: usize, alpha: &[f32], grid: [usize; 2]) -> RgbImage {
        let figure = Figure {
            photograph,
            title: "a.jpg",
            words: &vec!["dog".to_owned(); words],
            alphas: &vec![alpha.to_vec(); words],
            grid,
        };
        figure.draw().unwrap()
    }

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
    fn tiles_fill_rows_of_six_at_most() {
        let wide = photograph(64, 48); // tiles of 240 x 180
        let width = |columns: u32| 2 * MARGIN + columns * (240 + GAP) - GAP;
        for (words, columns) in [(1, 3), (4, 5), (5, 6), (6, 4), (11, 6), (12, 5)] {
            let canvas = figure(&wide, words, &[1.0], [1, 1]);
            assert_eq!(canvas.width(), width(columns), "{words} words");
        }
        let canvas = figure(&wide, 1, &[1.0], [1, 1]);
        let tile = canvas.get_pixel(MARGIN + 10, canvas.height() - MARGIN - 10);
        assert_eq!(*tile, Rgb([200, 100, 50]));
        assert_eq!(*canvas.get_pixel(5, 5), PAPER);
    }

    #[test]
    fn strange_shapes_are_drawn_too() {
        figure(&photograph(1, 900), 3, &[0.5, 0.5], [2, 1]);
        figure(&photograph(900, 1), 3, &[0.5, 0.5], [1, 2]);
        let canvas = figure(&photograph(3, 3), 0, &[1.0], [1, 1]);
        assert!(canvas.width() > 240);
        assert!(spread(&[1.0], [2, 2], [9, 9]).is_err());
    }
}
