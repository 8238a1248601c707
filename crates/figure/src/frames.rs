//! The attention figure as an animation: the photograph with its caption below, then each word
//! after the other.

use crate::figure::{Figure, MARGIN};
use crate::light::{light, resized};
use crate::text::Face;
use attend_program::Result;
use image::{RgbImage, imageops};

/// Longer side of the photograph, in pixels.
const SIDE: u32 = 480;
/// Minimum width of the photograph's place, so that a caption fits below a narrow one.
const PLACE: u32 = 320;
const GAP: u32 = 16;

/// A word and where it stands: line and distance from the left.
struct Placed<'a> {
    word: &'a str,
    line: u32,
    x: u32,
}

impl Figure<'_> {
    /// Draws the frames, all of one size: the photograph, and a frame for each word.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] if a word's attention does not have one number per
    /// cell.
    pub fn frames(&self) -> Result<Vec<RgbImage>> {
        let [small, caption] = [Face::regular(15.0)?, Face::bold(24.0)?];
        let (h, w) = (self.photograph.height as f32, self.photograph.width as f32);
        let side = |length: f32| ((length * SIDE as f32 / h.max(w)).round() as u32).max(1);
        let photograph = resized(self.photograph, [side(h), side(w)])?;
        let place = photograph.width().max(PLACE);
        let placed = self.placed(&caption, place);
        let lines = placed.last().map_or(1, |word| word.line + 1);

        let [paper, ink, pale] = self.theme.colours();
        let top = MARGIN + photograph.height() + GAP;
        let height = top + lines * caption.line() + GAP / 2 + small.line() + MARGIN;
        let frame = |at: Option<usize>| {
            let mut canvas = RgbImage::from_pixel(place + 2 * MARGIN, height, paper);
            let picture = match at {
                Some(n) => light(&photograph, &self.alphas[n], self.grid)?,
                None => photograph.clone(),
            };
            let x = MARGIN + (place - photograph.width()) / 2;
            imageops::replace(&mut canvas, &picture, x.into(), MARGIN.into());
            for (n, word) in placed.iter().enumerate() {
                let colour = if at.is_none_or(|at| at == n) {
                    ink
                } else {
                    pale
                };
                let corner = (MARGIN + word.x, top + word.line * caption.line());
                caption.draw(&mut canvas, word.word, corner, colour);
            }
            let title = small.fit(self.title, place);
            let y = top + lines * caption.line() + GAP / 2;
            small.draw(&mut canvas, &title, (MARGIN, y), pale);
            Ok(canvas)
        };
        let words = self.words.len().min(self.alphas.len());
        std::iter::once(None)
            .chain((0..words).map(Some))
            .map(frame)
            .collect()
    }

    /// The words, in lines of at most `width` pixels.
    fn placed(&self, face: &Face, width: u32) -> Vec<Placed<'_>> {
        let space = face.width("a b").saturating_sub(face.width("ab"));
        let (mut line, mut x) = (0, 0);
        let mut placed = Vec::new();
        for word in self.words {
            let wide = face.width(word);
            if x > 0 && x + wide > width {
                (line, x) = (line + 1, 0);
            }
            placed.push(Placed { word, line, x });
            x += wide + space;
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Theme;
    use attend_image::Photograph;

    #[test]
    fn each_word_has_a_frame_with_its_light() {
        let photograph = Photograph {
            width: 60,
            height: 40,
            full: (60, 40),
            rgbx: [200, 100, 50, 255].repeat(60 * 40),
        };
        let words = [
            "a", "dog", "runs", "along", "a", "very", "long", "beach", "at", "noon",
        ];
        let words = words.map(str::to_owned);
        let mut alphas = vec![vec![0.25; 4]; words.len()];
        alphas[1] = vec![0.0, 1.0, 0.0, 0.0];
        let figure = Figure {
            photograph: &photograph,
            title: "a.jpg",
            words: &words,
            alphas: &alphas,
            grid: [2, 2],
            theme: Theme::Dark,
        };
        let frames = figure.frames().unwrap();
        assert_eq!(frames.len(), 11);
        let size = frames[0].dimensions();
        assert_eq!(size.0, 480 + 2 * MARGIN);
        assert!(frames.iter().all(|frame| frame.dimensions() == size));
        // The second word's light falls into the upper right corner.
        let at = |n: usize, x: u32| frames[n].get_pixel(MARGIN + x, MARGIN + 3)[0];
        assert!(
            at(2, 475) > 200 && at(2, 3) < 60,
            "{} {}",
            at(2, 475),
            at(2, 3)
        );
        assert_eq!(at(0, 3), 200);
        assert_eq!(*frames[0].get_pixel(2, 2), Theme::Dark.colours()[0]);
        // Frames differ below the photograph, too: another word is lit.
        let below = |n: usize| frames[n].as_raw()[frames[n].as_raw().len() * 4 / 5..].to_vec();
        assert_ne!(below(3), below(4));
    }
}
