use super::*;
use crate::scene::Thing;

fn config() -> Scenes {
    Scenes {
        train: 400,
        val: 50,
        test: 50,
        ..Scenes::default()
    }
}

#[test]
fn no_scene_of_test_is_shown_in_training() {
    let entries = entries(&config()).unwrap();
    let contents = |split: &str| -> HashSet<String> {
        entries
            .iter()
            .filter(|entry| entry.split == split)
            .map(|entry| entry.scene.content())
            .collect()
    };
    let (train, val, test) = (contents("train"), contents("val"), contents("test"));
    assert!(train.is_disjoint(&test) && train.is_disjoint(&val) && val.is_disjoint(&test));
    assert_eq!(entries.len(), 500);
    let splits = |split: &str| entries.iter().filter(|entry| entry.split == split).count();
    assert_eq!(
        (splits("train"), splits("val"), splits("test")),
        (400, 50, 50)
    );
}

#[test]
fn captions_are_true_and_differ() {
    for Entry { scene, .. } in entries(&config()).unwrap() {
        let captions = scene.captions();
        assert_eq!(captions.iter().collect::<HashSet<_>>().len(), 5);
        let [a, b] = scene.things;
        for caption in &captions {
            assert!(caption.contains(&a.name()) && caption.contains(&b.name()));
            // The caption states the relation of the first-named thing to the second.
            let a_first = caption.find(&a.name()) < caption.find(&b.name());
            let [(x, y), (u, v)] =
                if a_first { [a, b] } else { [b, a] }.map(|t: Thing| (t.centre[0], t.centre[1]));
            let truth = [
                (" left of", x < u),
                (" right of", x > u),
                (" above", y < v),
                (" below", y > v),
            ];
            assert!(
                truth
                    .iter()
                    .all(|(words, holds)| *holds || !caption.contains(words)),
                "{caption} {scene:?}"
            );
        }
    }
}

/// Without a thing, the picture changes inside the thing's box only, and along all four
/// sides of it.
#[test]
fn boxes_hold_their_things_exactly() {
    let size = 96;
    for Entry { id, scene, .. } in entries(&config()).unwrap().into_iter().take(60) {
        for hidden in 0..2 {
            // A thing with radius 0 covers no sample.
            let mut without = scene.clone();
            without.things[hidden].radius = 1e-9;
            let picture = draw::draw(
                &Scene {
                    things: order(scene.clone(), hidden),
                    ..scene.clone()
                },
                size,
                &mut Random::new(&[id]),
            );
            let bare = draw::draw(
                &Scene {
                    things: order(without, hidden),
                    ..scene.clone()
                },
                size,
                &mut Random::new(&[id]),
            );
            let thing = scene.things[hidden];
            let edge = size as f64;
            let changed: Vec<(f64, f64)> = (0..size * size)
                .filter(|pixel| picture[3 * pixel..3 * pixel + 3] != bare[3 * pixel..3 * pixel + 3])
                .map(|pixel| ((pixel % size) as f64 + 0.5, (pixel / size) as f64 + 0.5))
                .collect();
            let reach = |axis: usize| {
                let along = changed.iter().map(|(x, y)| if axis == 0 { *x } else { *y });
                let (low, high) = along.fold((f64::MAX, f64::MIN), |(low, high), v| {
                    (low.min(v), high.max(v))
                });
                (
                    low - (thing.centre[axis] - thing.radius) * edge,
                    (thing.centre[axis] + thing.radius) * edge - high,
                )
            };
            for axis in 0..2 {
                let (low, high) = reach(axis);
                // Not all shapes reach all sides of their square: a gap is at most a fifth of it.
                let slack = 0.2 * 2.0 * thing.radius * edge + 1.0;
                assert!(
                    (-0.5..slack).contains(&low) && (-0.5..slack).contains(&high),
                    "{thing:?}: {low} {high}"
                );
            }
        }
    }
}

/// The hidden thing last, so that the noise of the other stays the same.
fn order(scene: Scene, last: usize) -> [Thing; 2] {
    let [a, b] = scene.things;
    if last == 1 { [a, b] } else { [b, a] }
}

#[test]
fn a_picture_is_a_function_of_its_key() {
    let entries = entries(&config()).unwrap();
    let picture = |key: u64| draw::draw(&entries[3].scene, 64, &mut Random::new(&[key]));
    assert_eq!(picture(1), picture(1));
    assert_ne!(picture(1), picture(2));
    // A fixed digest: the bytes are the same on every machine and after every change.
    assert_eq!(blake3(&picture(1)), EXPECTED);
}

fn blake3(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    attend_artifact::digest_file(file.path()).unwrap()[..16].to_owned()
}

const EXPECTED: &str = "dca8d3161e9504c7";
