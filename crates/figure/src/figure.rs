//! The attention figure: the photograph, and then, for each word, the photograph lit by the
//! model's attention at that word.

use crate::light::{Theme, light, resized};
use crate::text::Face;
use attend_image::Photograph;
use attend_program::Result;
use image::{RgbImage, imageops};

/// Longer side of a tile, in pixels.
const TILE: u32 = 240;
/// Minimum width of a tile's cell, so that a word fits above a narrow tile.
const PLACE: u32 = 140;
pub(crate) const MARGIN: u32 = 32;
const GAP: u32 = 18;
/// Maximum number of tiles in a row.
const COLUMNS: u32 = 6;

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
    /// The colours around the photograph.
    pub theme: Theme,
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
    /// [`attend_program::Error::Internal`] if a word's attention does not have one number per cell.
    pub fn draw(&self) -> Result<RgbImage> {
        let [small, label, caption] = [Face::regular(15.0)?, Face::bold(19.0)?, Face::bold(27.0)?];
        let mut layout = Layout::new(self.photograph, self.words.len() as u32 + 1, &label);
        let inner = layout.width() - 2 * MARGIN;
        let lines = caption.wrap(&self.words.join(" "), inner);
        layout.header = small.line() + 6 + lines.len() as u32 * caption.line() + GAP;

        let [paper, ink, pale] = self.theme.colours();
        let mut canvas = RgbImage::from_pixel(layout.width(), layout.height(), paper);
        small.draw(
            &mut canvas,
            &small.fit(self.title, inner),
            (MARGIN, MARGIN),
            pale,
        );
        let mut y = MARGIN + small.line() + 6;
        for line in &lines {
            caption.draw(&mut canvas, line, (MARGIN, y), ink);
            y += caption.line();
        }

        let photograph = resized(self.photograph, layout.tile)?;
        layout.put(&mut canvas, 0, &photograph);
        for (i, (word, alpha)) in self.words.iter().zip(self.alphas).enumerate() {
            let tile = light(&photograph, alpha, self.grid)?;
            let (x, y) = layout.put(&mut canvas, i as u32 + 1, &tile);
            let word = label.fit(word, layout.place);
            label.draw(&mut canvas, &word, (x, y - layout.label), ink);
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

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

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
            theme: Theme::Light,
        };
        figure.draw().unwrap()
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
        assert_eq!(*canvas.get_pixel(5, 5), Theme::Light.colours()[0]);
    }

    #[test]
    fn strange_shapes_are_drawn_too() {
        figure(&photograph(1, 900), 3, &[0.5, 0.5], [2, 1]);
        figure(&photograph(900, 1), 3, &[0.5, 0.5], [1, 2]);
        let canvas = figure(&photograph(3, 3), 0, &[1.0], [1, 1]);
        assert!(canvas.width() > 240);
    }
}
