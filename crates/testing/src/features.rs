//! Small `features` artifacts.

use crate::draft_from;
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::features::view_shard;
use attend_artifact::model::EncoderConfig;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::{Artifact, Staging};
use std::ops::Range;
use std::path::Path;

/// Writes the features artifact of a data set into `folder`: `cells` answers the numbers
/// f32 (cells, channels) of an image's pixels u8 [3, H, W]. `encoder` is what
/// made them, and `file` the bytes of its file, if it has one.
pub fn write(
    folder: &Path,
    dataset: &Artifact,
    encoder: &EncoderConfig,
    file: &[u8],
    cells: &dyn Fn(&[u8]) -> Vec<f32>,
) -> Artifact {
    write_views(folder, dataset, encoder, file, 1, &|pixels, _| {
        cells(pixels)
    })
}

/// The same with this number of views of the images of the split `train`: `cells` also gets the
/// view's number, from 0.
pub fn write_views(
    folder: &Path,
    dataset: &Artifact,
    encoder: &EncoderConfig,
    file: &[u8],
    views: usize,
    cells: &dyn Fn(&[u8], usize) -> Vec<f32>,
) -> Artifact {
    let opened = Dataset::open(dataset).unwrap();
    let grid = encoder.grid(opened.image_size().map(|n| n as i64));
    let (grid, channels) = (grid.map(|n| n as usize), encoder.channels() as usize);
    let draft = draft_from("features", &dataset.manifest.digest);
    let staging = Staging::open(folder, draft).unwrap();
    let shard =
        |shard: &str, axes: &[(&str, usize)], images: &[ImageRecord], views: Range<usize>| {
            let path = staging.path(shard).unwrap();
            let (names, shape): (Vec<&str>, Vec<usize>) = axes.iter().copied().unzip();
            let mut writer =
                TensorShardWriter::create(&path, "features", Dtype::F32, &shape, &names).unwrap();
            for image in images {
                let pixels = opened.pixels(image).unwrap();
                let numbers = views.clone().flat_map(|view| cells(pixels, view));
                let bytes: Vec<u8> = numbers.flat_map(f32::to_ne_bytes).collect();
                writer.push(image.image_id, &bytes).unwrap();
            }
            let rows = writer.finish().unwrap().rows;
            staging.done(shard, Some(rows)).unwrap();
        };
    for images in opened.images().chunk_by(|a, b| a.shard == b.shard) {
        let name = &images[0].shard;
        let axes = [
            ("view", views - 1),
            ("cell", grid[0] * grid[1]),
            ("channel", channels),
        ];
        shard(name, &axes[1..], images, 0..1);
        if views > 1 && images[0].split == "train" {
            shard(&view_shard(name), &axes, images, 1..views);
        }
    }
    let json = encoder.json(2).unwrap();
    let card = ("encoder.json", json.as_bytes());
    let file = encoder.file().map(|name| (name, file));
    for (name, bytes) in [Some(card), file].into_iter().flatten() {
        std::fs::write(staging.path(name).unwrap(), bytes).unwrap();
        staging.done(name, None).unwrap();
    }
    let [height, width] = grid.map(|n| n as u64);
    let counts = [
        ("grid_height", height),
        ("grid_width", width),
        ("channels", channels as u64),
    ];
    staging.commit(&counts).unwrap();
    Artifact::open(folder).unwrap()
}
