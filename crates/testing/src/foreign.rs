//! A network of another program, small enough to be computed by hand.

use attend_artifact::model::{EncoderConfig, ForeignConfig};

/// Its description, for square images of `side` pixels.
pub fn encoder(side: i64, command: Option<Vec<String>>) -> EncoderConfig {
    EncoderConfig::Foreign(ForeignConfig {
        name: "means".into(),
        image_size: [side; 2],
        grid: [2, 2],
        channels: 6,
        command,
    })
}

/// The cells f32 [4, 6] of square images u8 [3, side, side]: the mean of red, green and blue
/// in each quarter of the image, from 0 to 1, and their squares.
pub fn cells(pixels: &[u8]) -> Vec<f32> {
    let side = (pixels.len() / 3).isqrt();
    let half = side / 2;
    let mut cells = Vec::new();
    for (top, left) in [(0, 0), (0, half), (half, 0), (half, half)] {
        let mean = |plane: &[u8]| {
            let rows = plane.chunks(side).skip(top).take(half);
            let sum: u32 = rows
                .flat_map(|row| &row[left..left + half])
                .map(|pixel| u32::from(*pixel))
                .sum();
            sum as f32 / (half * half * 255) as f32
        };
        let means: Vec<f32> = pixels.chunks(side * side).map(mean).collect();
        cells.extend(&means);
        cells.extend(means.iter().map(|mean| mean * mean));
    }
    cells
}
