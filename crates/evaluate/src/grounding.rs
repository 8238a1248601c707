//! Does the model look at what it names?
//!
//! Whenever a generated word names an object of the image, the attention of the
//! step that produced the word is compared with the object's box: how much of
//! it falls inside, and how much would if it were uniform over the image (the
//! box's share of the image's area, "chance").

use attend_artifact::dataset::ObjectRecord;
use serde::Serialize;

/// Sums over words that name an object.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Number of such words.
    pub words: u64,
    /// Attention inside the boxes, summed over the words.
    pub inside: f64,
    /// The boxes' share of the image, summed over the words.
    pub chance: f64,
}

/// Means over words that name an object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Grounding {
    /// Attention inside the box, 0 to 1.
    pub inside: f64,
    /// The box's share of the image, 0 to 1.
    pub chance: f64,
    /// `inside / chance`: 1 for a model whose attention ignores the objects.
    pub ratio: f64,
    /// Number of words.
    pub words: u64,
}

impl Tally {
    /// Adds one caption. Each word has its attention in `alphas`, over `grid` (height,
    /// width) cells row by row, which tile the whole image. If several objects have the
    /// name, a word means all of them: the union of their boxes.
    pub fn of_caption(
        words: &[impl AsRef<str>],
        alphas: &[Vec<f32>],
        grid: [usize; 2],
        objects: &[&ObjectRecord],
    ) -> Tally {
        let mut tally = Tally::default();
        for (word, alpha) in words.iter().zip(alphas) {
            let boxes: Vec<Rect> = objects
                .iter()
                .filter(|object| same_noun(word.as_ref(), &object.name))
                .map(|object| Rect::from_object(object))
                .collect();
            let cover = coverage(&boxes, grid);
            let area = cover.iter().sum::<f64>() / cover.len().max(1) as f64;
            if area > 0.0 {
                tally.words += 1;
                tally.inside += inside(alpha, &cover);
                tally.chance += area;
            }
        }
        tally
    }

    /// The means; `None` without words.
    pub fn mean(&self) -> Option<Grounding> {
        let n = self.words as f64;
        (self.words > 0).then(|| Grounding {
            inside: self.inside / n,
            chance: self.chance / n,
            ratio: self.inside / self.chance,
            words: self.words,
        })
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.words += other.words;
        self.inside += other.inside;
        self.chance += other.chance;
    }
}

/// Whether the words are equal, or one is the other's plural.
fn same_noun(a: &str, b: &str) -> bool {
    let is_plural_of = |plural: &str, noun: &str| {
        let ending = plural.strip_prefix(noun);
        matches!(ending, Some("s" | "es"))
            || (noun.strip_suffix('y')).is_some_and(|stem| plural.strip_prefix(stem) == Some("ies"))
    };
    a == b || is_plural_of(a, b) || is_plural_of(b, a)
}

/// Attention that falls on covered cells; each cell counts in proportion to its covered
/// part.
fn inside(alpha: &[f32], cover: &[f64]) -> f64 {
    let all: f64 = alpha.iter().map(|a| f64::from(*a)).sum();
    let covered: f64 = alpha
        .iter()
        .zip(cover)
        .map(|(a, c)| f64::from(*a) * c)
        .sum();
    covered / all.max(f64::MIN_POSITIVE)
}

/// For each cell of the grid, row by row, the part of it (0 to 1) that the
/// union of the boxes covers.
fn coverage(boxes: &[Rect], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let (height, width) = (1.0 / rows as f64, 1.0 / columns as f64);
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    cells
        .map(|(row, column)| {
            let cell = Rect {
                left: column as f64 * width,
                top: row as f64 * height,
                right: (column + 1) as f64 * width,
                bottom: (row + 1) as f64 * height,
            };
            let parts: Vec<Rect> = boxes.iter().filter_map(|b| b.cut(&cell)).collect();
            union_area(&parts) / (height * width)
        })
        .collect()
}

/// A rectangle in fractions of the image.
#[derive(Clone, Copy, Debug)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    fn from_object(object: &ObjectRecord) -> Rect {
        let (left, top) = (f64::from(object.x), f64::from(object.y));
        Rect {
            left,
            top,
            right: left + f64::from(object.width),
            bottom: top + f64::from(object.height),
        }
    }

    /// The intersection of two rectangles, if they overlap.
    fn cut(&self, other: &Rect) -> Option<Rect> {
        let cut = Rect {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        };
        (cut.left < cut.right && cut.top < cut.bottom).then_some(cut)
    }
}

/// Area of the union, strip by strip: between two neighbouring vertical edges, the
/// rectangles are intervals of y.
fn union_area(boxes: &[Rect]) -> f64 {
    let mut edges: Vec<f64> = boxes.iter().flat_map(|b| [b.left, b.right]).collect();
    edges.sort_by(f64::total_cmp);
    let mut by_top = boxes.to_vec();
    by_top.sort_by(|a, b| a.top.total_cmp(&b.top));
    let strips = edges.windows(2).map(|edge| {
        let mut reached = f64::NEG_INFINITY;
        let mut height = 0.0;
        for b in &by_top {
            if b.left <= edge[0] && b.right >= edge[1] && b.bottom > reached {
                height += b.bottom - b.top.max(reached);
                reached = b.bottom;
            }
        }
        (edge[1] - edge[0]) * height
    });
    strips.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, x: f32, y: f32, width: f32, height: f32) -> ObjectRecord {
        ObjectRecord {
            image_id: 1,
            name: name.into(),
            x,
            y,
            width,
            height,
        }
    }

    fn tally(words: &[&str], alpha: &[f32], grid: [usize; 2], objects: &[ObjectRecord]) -> Tally {
        let alphas = vec![alpha.to_vec(); words.len()];
        let objects: Vec<&ObjectRecord> = objects.iter().collect();
        Tally::of_caption(words, &alphas, grid, &objects)
    }

    #[test]
    fn even_attention_is_exactly_chance() {
        // a box whose edges lie inside cells: 0.3125 * 0.5 of the image
        let dog = object("dog", 0.125, 0.0625, 0.3125, 0.5);
        let mean = tally(&["dog"], &[1.0 / 16.0; 16], [4, 4], &[dog])
            .mean()
            .unwrap();
        assert_eq!((mean.chance, mean.ratio, mean.words), (0.15625, 1.0, 1));
    }

    #[test]
    fn all_attention_inside_is_one_over_the_area() {
        // the box is the right lower quarter; all attention is on its cells
        let dog = object("dog", 0.5, 0.5, 0.5, 0.5);
        let mut alpha = [0.0; 16];
        for cell in [10, 11, 14, 15] {
            alpha[cell] = 0.25;
        }
        let mean = tally(&["a", "dog"], &alpha, [4, 4], &[dog]).mean().unwrap();
        assert_eq!((mean.inside, mean.chance, mean.ratio), (1.0, 0.25, 4.0));
    }

    #[test]
    fn a_cell_counts_by_its_overlap() {
        // On a 1 x 2 grid the box covers half of the left cell.
        let cat = object("cat", 0.25, 0.0, 0.25, 1.0);
        let mean = tally(&["cat"], &[0.8, 0.2], [1, 2], &[cat]).mean().unwrap();
        assert!((mean.inside - 0.4).abs() < 1e-7 && (mean.chance - 0.25).abs() < 1e-12);
    }

    #[test]
    fn rows_are_heights() {
        // Grid 2 x 1 (two rows): the box is the upper half.
        let sky = object("sky", 0.0, 0.0, 1.0, 0.5);
        let mean = tally(&["sky"], &[0.75, 0.25], [2, 1], &[sky])
            .mean()
            .unwrap();
        assert_eq!((mean.inside, mean.chance), (0.75, 0.5));
    }

    #[test]
    fn several_boxes_of_a_name_are_their_union() {
        // Two boxes of 0.5 x 0.5 that share 0.25 x 0.25: 0.25 + 0.25 - 0.0625.
        let boxes = [
            object("ball", 0.0, 0.0, 0.5, 0.5),
            object("ball", 0.25, 0.25, 0.5, 0.5),
        ];
        for grid in [[1, 1], [4, 4]] {
            let even = vec![1.0 / (grid[0] * grid[1]) as f32; grid[0] * grid[1]];
            let mean = tally(&["balls"], &even, grid, &boxes).mean().unwrap();
            assert_eq!((mean.inside, mean.chance), (0.4375, 0.4375));
        }
    }

    #[test]
    fn only_the_named_object_counts() {
        let objects = [
            object("box", 0.0, 0.0, 0.5, 1.0),
            object("city", 0.5, 0.0, 0.5, 1.0),
        ];
        let alphas = [1.0, 0.0];
        let of = |word: &str| tally(&[word], &alphas, [1, 2], &objects);
        assert_eq!(of("boxes").inside, 1.0);
        assert_eq!(of("cities").inside, 0.0);
        assert_eq!(of("cities").words, 1);
        assert_eq!(of("boxer"), Tally::default());
        assert_eq!(of("a").mean(), None);
    }

    #[test]
    fn a_box_outside_the_image_names_nothing() {
        let objects = [
            object("sun", 1.5, 0.0, 0.5, 0.5),
            object("sun", 0.2, 0.2, 0.0, 0.3),
        ];
        assert_eq!(tally(&["sun"], &[1.0; 4], [2, 2], &objects).words, 0);
    }
}
