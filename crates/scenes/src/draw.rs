//! Draws a scene.

use crate::random::Random;
use crate::scene::{COLOURS, GROUNDS, Scene, Shape, Thing};

/// Samples per pixel along each side, by which the edges of things are antialiased.
const SAMPLES: usize = 4;

/// The scene as RGB pixels (size, size, 3), row by row, with noise from `random`.
pub fn draw(scene: &Scene, size: usize, random: &mut Random) -> Vec<u8> {
    let mut canvas = ground(GROUNDS[scene.ground], size, random);
    for thing in &scene.things {
        paint(thing, size, &mut canvas, random);
    }
    canvas
        .iter()
        .flatten()
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
        .collect()
}

fn ground(texture: &str, size: usize, random: &mut Random) -> Vec<[f64; 3]> {
    let tint: [f64; 3] = std::array::from_fn(|_| random.between(110.0, 200.0));
    let grey = tint.iter().sum::<f64>() / 3.0;
    let contrast = random.between(14.0, 26.0) * random.pick(&[-1.0, 1.0]);
    let period = (random.between(0.08, 0.125) * size as f64).max(2.0);
    // The stripes' normal: a rational parametrisation of the circle needs no sine.
    let t = random.between(-1.0, 1.0);
    let (nx, ny) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    let cell = |v: usize| (v as f64 / period).floor() as i64;
    let off = |v: usize| (v as f64 + 0.5).rem_euclid(period) - period / 2.0;
    let mark = |x: usize, y: usize| match texture {
        "striped" => ((x as f64 * nx + y as f64 * ny) / period).rem_euclid(1.0) < 0.5,
        "checked" => (cell(x) + cell(y)) % 2 == 0,
        "dotted" => off(x) * off(x) + off(y) * off(y) < 0.08 * period * period,
        _ => false,
    };
    let mut canvas = Vec::with_capacity(size * size);
    for y in 0..size {
        for x in 0..size {
            let shift = if mark(x, y) { contrast } else { 0.0 } + 4.0 * random.normal();
            canvas.push(tint.map(|channel| 0.4 * channel + 0.6 * grey + shift));
        }
    }
    canvas
}

fn paint(thing: &Thing, size: usize, canvas: &mut [[f64; 3]], random: &mut Random) {
    let colour = COLOURS[thing.colour]
        .1
        .map(|channel| channel + 8.0 * random.normal());
    let edge = size as f64;
    let range = |axis: usize| {
        let (low, high) = (
            thing.centre[axis] - thing.radius,
            thing.centre[axis] + thing.radius,
        );
        ((low * edge).floor() as usize)..((high * edge).ceil() as usize).min(size)
    };
    for y in range(1) {
        for x in range(0) {
            let cover = coverage(thing, x, y, edge);
            let noise = 3.0 * random.normal();
            for (old, new) in canvas[y * size + x].iter_mut().zip(colour) {
                *old = *old * (1.0 - cover) + (new + noise) * cover;
            }
        }
    }
}

/// The fraction of a pixel that the thing covers.
fn coverage(thing: &Thing, x: usize, y: usize, edge: f64) -> f64 {
    let step = 1.0 / SAMPLES as f64;
    let at = |pixel: usize, sample: usize, axis: usize| {
        ((pixel as f64 + (sample as f64 + 0.5) * step) / edge - thing.centre[axis]) / thing.radius
    };
    let hits = (0..SAMPLES * SAMPLES)
        .filter(|sample| {
            covers(
                thing.shape,
                at(x, sample % SAMPLES, 0),
                at(y, sample / SAMPLES, 1),
            )
        })
        .count();
    hits as f64 * step * step
}

/// Whether a shape in the square [-1, 1] x [-1, 1] (y down) covers a point.
fn covers(shape: Shape, x: f64, y: f64) -> bool {
    let distance = x * x + y * y;
    match shape {
        Shape::Circle => distance <= 1.0,
        Shape::Ring => (0.55 * 0.55..=1.0).contains(&distance),
        Shape::Square => x.abs() <= 0.9 && y.abs() <= 0.9,
        Shape::Cross => (x.abs() <= 0.34 && y.abs() <= 1.0) || (y.abs() <= 0.34 && x.abs() <= 1.0),
        Shape::Triangle => (-1.0..=0.85).contains(&y) && x.abs() <= (y + 1.0) / 1.85,
        Shape::Star => in_star(x, y),
    }
}

/// A five-pointed star: inside at least four of its five lines.
fn in_star(x: f64, y: f64) -> bool {
    // Normals of the pentagram's lines. Its points lie on the unit circle, its lines at
    // distance cos(72 degrees) from the centre.
    const LINES: [[f64; 2]; 5] = [
        [0.0, -1.0],
        [0.951_056_516_295_153_5, -0.309_016_994_374_947_45],
        [0.587_785_252_292_473_1, 0.809_016_994_374_947_5],
        [-0.587_785_252_292_473_1, 0.809_016_994_374_947_5],
        [-0.951_056_516_295_153_5, -0.309_016_994_374_947_45],
    ];
    let inside = LINES
        .iter()
        .filter(|[nx, ny]| nx * x + ny * y <= 0.309_016_994_374_947_45)
        .count();
    inside >= 4
}
