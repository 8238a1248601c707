//! Draws text on a picture in DejaVu Sans, which has Latin, Greek, Cyrillic and many more
//! scripts.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use attend_program::{Error, Result};
use image::{Rgb, RgbImage};

/// Drawn in place of a character that the font lacks.
const REPLACEMENT: char = '\u{fffd}';

/// A font at one size.
pub struct Face {
    font: FontRef<'static>,
    scale: PxScale,
}

impl Face {
    /// DejaVu Sans; `size` is in pixels.
    pub fn regular(size: f32) -> Result<Face> {
        Face::new(dejavu::sans::regular(), size)
    }

    /// DejaVu Sans Bold; `size` is in pixels.
    pub fn bold(size: f32) -> Result<Face> {
        Face::new(dejavu::sans::bold(), size)
    }

    fn new(bytes: &'static [u8], size: f32) -> Result<Face> {
        let font = FontRef::try_from_slice(bytes).map_err(Error::internal)?;
        let scale = PxScale::from(size);
        Ok(Face { font, scale })
    }

    /// Height of a line in pixels.
    pub fn line(&self) -> u32 {
        self.font.as_scaled(self.scale).height().ceil() as u32
    }

    /// Width of a text in pixels.
    pub fn width(&self, text: &str) -> u32 {
        self.layout(text).1.ceil() as u32
    }

    /// The text, shortened by an ellipsis if it is wider than `width` pixels.
    pub fn fit(&self, text: &str, width: u32) -> String {
        let mut kept: Vec<char> = text.chars().collect();
        let mut fitted = text.to_owned();
        while self.width(&fitted) > width && kept.pop().is_some() {
            fitted = kept.iter().collect::<String>() + "…";
        }
        fitted
    }

    /// The text as lines of at most `width` pixels, broken between words; a longer word is
    /// shortened.
    pub fn wrap(&self, text: &str, width: u32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let word = self.fit(word, width);
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        lines
    }

    /// Draws one line with its upper left corner at (x, y).
    pub fn draw(&self, canvas: &mut RgbImage, text: &str, (x, y): (u32, u32), colour: Rgb<u8>) {
        let baseline = y as f32 + self.font.as_scaled(self.scale).ascent();
        for mut glyph in self.layout(text).0 {
            glyph.position.x += x as f32;
            glyph.position.y += baseline;
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue; // a space
            };
            let corner = outline.px_bounds().min;
            outline.draw(|column, row, cover| {
                let (x, y) = (corner.x + column as f32, corner.y + row as f32);
                if x >= 0.0
                    && y >= 0.0
                    && let Some(pixel) = canvas.get_pixel_mut_checked(x as u32, y as u32)
                {
                    *pixel = mix(*pixel, colour, cover);
                }
            });
        }
    }

    /// The glyphs of a line whose baseline begins at (0, 0), and its width.
    fn layout(&self, text: &str) -> (Vec<Glyph>, f32) {
        let font = self.font.as_scaled(self.scale);
        let mut glyphs: Vec<Glyph> = Vec::new();
        let mut x = 0.0;
        for character in text.chars() {
            let id = match self.font.glyph_id(character) {
                id if id.0 == 0 => self.font.glyph_id(REPLACEMENT),
                id => id,
            };
            if let Some(last) = glyphs.last() {
                x += font.kern(last.id, id);
            }
            glyphs.push(id.with_scale_and_position(self.scale, point(x, 0.0)));
            x += font.h_advance(id);
        }
        (glyphs, x)
    }
}

/// Blends from `a` at t = 0 to `b` at t = 1.
pub fn mix(a: Rgb<u8>, b: Rgb<u8>, t: f32) -> Rgb<u8> {
    let channel = |k: usize| {
        let (a, b) = (f32::from(a[k]), f32::from(b[k]));
        (a + (b - a) * t.clamp(0.0, 1.0)).round() as u8
    };
    Rgb([channel(0), channel(1), channel(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
    const BLACK: Rgb<u8> = Rgb([0, 0, 0]);

    fn drawn(text: &str) -> RgbImage {
        let mut canvas = RgbImage::from_pixel(200, 40, WHITE);
        Face::bold(24.0)
            .unwrap()
            .draw(&mut canvas, text, (2, 2), BLACK);
        canvas
    }

    #[test]
    fn words_of_many_languages_have_glyphs_of_their_own() {
        let question = drawn("\u{fffd}");
        for text in ["dog", "Straße", "собака", "σκύλος"] {
            assert_ne!(drawn(text), drawn(""), "{text}");
            assert_ne!(
                drawn(&text[..text.char_indices().nth(1).unwrap().0]),
                question
            );
        }
        // a character that the font lacks is replaced
        assert_eq!(drawn("犬"), question);
    }

    #[test]
    fn text_stays_within_its_measured_width() {
        let face = Face::bold(24.0).unwrap();
        let width = face.width("attention");
        let canvas = drawn("attention");
        let dark = |x: u32| (0..canvas.height()).any(|y| canvas.get_pixel(x, y)[0] < 250);
        assert!((width - 6..width + 4).any(dark), "the last letter is there");
        assert!(!(width + 4..200).any(dark), "and nothing comes after it");
    }

    #[test]
    fn drawing_over_the_edge_is_cut() {
        let mut canvas = RgbImage::from_pixel(10, 10, WHITE);
        Face::regular(30.0)
            .unwrap()
            .draw(&mut canvas, "wide", (5, 5), BLACK);
    }

    #[test]
    fn long_lines_are_wrapped_and_long_words_cut() {
        let face = Face::regular(16.0).unwrap();
        let lines = face.wrap("a dog runs on the beach", 80);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), "a dog runs on the beach");
        assert!(lines.iter().all(|line| face.width(line) <= 80));
        let cut = face.fit("incomprehensibilities", 60);
        assert!(cut.ends_with('…') && face.width(&cut) <= 60);
        assert_eq!(face.fit("dog", 60), "dog");
        assert!(face.wrap("", 80).is_empty());
    }
}
