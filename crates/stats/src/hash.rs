//! A perceptual hash of pictures: a difference hash, whose bits say whether brightness grows
//! from each cell of a coarse grid to the next. Two pictures look alike if few bits differ,
//! whatever their size, compression, contrast and brightness are.

/// Cells per side.
const CELLS: usize = 16;
/// Number of bits: 16 x 16 from left to right, and as many from top to bottom. Left to right
/// alone takes one beach for another.
pub(crate) const BITS: u32 = 2 * (CELLS * CELLS) as u32;
/// Maximum number of bits in which nearly equal pictures differ. Of a photograph that is
/// compressed to quality 30 or halved in size, up to 30 bits change, of one that loses 2 %
/// at each edge about 70; different photographs of one place differ in 100 and more.
pub(crate) const NEAR: u32 = BITS / 8;

pub(crate) type Hash = [u64; BITS as usize / 64];

/// The hash of pixels: uint8 [3, H, W].
pub(crate) fn of(pixels: &[u8], [height, width]: [usize; 2]) -> Hash {
    let [red, green, blue] = [0, 1, 2].map(|c| &pixels[c * height * width..]);
    let luma = |at: usize| {
        299 * u32::from(red[at]) + 587 * u32::from(green[at]) + 114 * u32::from(blue[at])
    };
    let luma: Vec<u32> = (0..height * width).map(luma).collect();
    let grid = |rows, columns| means(&luma, [height, width], rows, columns);
    let (across, down) = (grid(CELLS, CELLS + 1), grid(CELLS + 1, CELLS));
    let cells = || (0..CELLS).flat_map(|y| (0..CELLS).map(move |x| (y, x)));
    let across = cells().map(|(y, x)| {
        let left = y * (CELLS + 1) + x;
        across[left + 1] > across[left]
    });
    let down = cells().map(|(y, x)| down[(y + 1) * CELLS + x] > down[y * CELLS + x]);
    let mut hash = Hash::default();
    for (bit, grows) in across.chain(down).enumerate() {
        hash[bit / 64] |= u64::from(grows) << (bit % 64);
    }
    hash
}

/// Mean brightness of each cell of a grid, by row.
fn means(luma: &[u32], [height, width]: [usize; 2], rows: usize, columns: usize) -> Vec<f64> {
    // Of a picture with fewer pixels than cells, some cells are the same pixel.
    let stretch = |cell: usize, cells: usize, side: usize| {
        let begin = cell * side / cells;
        begin..((cell + 1) * side / cells).max(begin + 1)
    };
    let mut means = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let (ys, xs) = (stretch(row, rows, height), stretch(column, columns, width));
            let count = (ys.len() * xs.len()) as f64;
            let sum = |y: usize| -> u64 {
                let cell = &luma[y * width..][xs.clone()];
                cell.iter().map(|luma| u64::from(*luma)).sum()
            };
            means.push(ys.map(sum).sum::<u64>() as f64 / count);
        }
    }
    means
}

/// The first of `others` that differs from `hash` in the fewest bits, if those are no more
/// than [`NEAR`]: its index and their number. Most others differ in too many bits after a
/// few of their words.
pub(crate) fn nearest(hash: &Hash, others: &[Hash]) -> Option<(usize, u32)> {
    let (mut found, mut most) = (None, NEAR + 1);
    for (index, other) in others.iter().enumerate() {
        let mut differ = 0;
        for (a, b) in hash.iter().zip(other) {
            differ += (a ^ b).count_ones();
            if differ >= most {
                break;
            }
        }
        if differ < most {
            (found, most) = (Some((index, differ)), differ);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that is brighter towards one corner, with a bright square.
    fn picture([height, width]: [usize; 2], gain: usize, at: usize) -> Vec<u8> {
        let pixel = |i: usize| {
            let (y, x) = (16 * (i / width) / height, 16 * (i % width) / width);
            let square = (at..at + 4).contains(&x) && (4..8).contains(&y);
            (gain * (x + 3 * y) / 16 + 60 * usize::from(square)) as u8
        };
        let plane: Vec<u8> = (0..height * width).map(pixel).collect();
        plane.repeat(3)
    }

    fn hash(size: [usize; 2], gain: usize, at: usize) -> Hash {
        of(&picture(size, gain, at), size)
    }

    fn distance(a: Hash, b: Hash) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn alike_pictures_of_other_size_and_contrast_differ_in_few_bits() {
        let one = hash([224, 224], 32, 2);
        assert!(distance(one, hash([256, 256], 32, 2)) <= NEAR);
        assert!(distance(one, hash([224, 224], 40, 2)) <= NEAR);
        assert!(distance(one, hash([64, 96], 32, 2)) <= NEAR);
        let mirrored = one.map(|word| !word);
        assert!(distance(one, mirrored) == BITS);
        for size in [[1, 1], [5, 300], [16, 16]] {
            assert_eq!(hash(size, 32, 2), hash(size, 32, 2));
        }
    }

    #[test]
    fn the_nearest_is_the_first_of_the_fewest_bits() {
        let mut others = vec![[u64::MAX; 8], [0; 8], [0; 8], [0; 8]];
        others[1][7] = 0b111;
        others[2][0] = 0b11;
        others[3][3] = 0b11;
        assert_eq!(nearest(&[0; 8], &others), Some((2, 2)));
        assert_eq!(nearest(&[0; 8], &others[..2]), Some((1, 3)));
        assert_eq!(nearest(&[0; 8], &others[..1]), None);
        let mut at_most = [0; 8];
        at_most[0] = u64::MAX;
        assert_eq!(nearest(&[0; 8], &[at_most]), Some((0, NEAR)));
        at_most[1] = 1;
        assert_eq!(nearest(&[0; 8], &[at_most]), None);
    }
}
