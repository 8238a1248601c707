//! Small `features` artifacts.

use crate::draft_from;
use attend_artifact::dataset::Dataset;
use attend_artifact::model::EncoderConfig;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::{Artifact, Staging};
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
    let opened = Dataset::open(dataset).unwrap();
    let grid = encoder.grid(opened.image_size().map(|n| n as i64));
    let (grid, channels) = (grid.map(|n| n as usize), encoder.channels() as usize);
    let draft = draft_from("features", &dataset.manifest.digest);
    let staging = Staging::open(folder, draft).unwrap();
    for images in opened.images().chunk_by(|a, b| a.shard == b.shard) {
        let shard = &images[0].shard;
        let path = staging.path(shard).unwrap();
        let (shape, names) = ([grid[0] * grid[1], channels], ["cell", "channel"]);
        let mut writer =
            TensorShardWriter::create(&path, "features", Dtype::F32, &shape, &names).unwrap();
        for image in images {
            let numbers = cells(opened.pixels(image).unwrap());
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_ne_bytes()).collect();
            writer.push(image.image_id, &bytes).unwrap();
        }
        let rows = writer.finish().unwrap().rows;
        staging.done(shard, Some(rows)).unwrap();
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
