//! Features with further views of the images.

use crate::world::{CELLS, CHANNELS, SIDE, World, encoder, json, remake};
use attend_artifact::Artifact;
use attend_artifact::features::Features;
use attend_artifact::model::EncoderConfig;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::verify::judge;
use attend_testing::{Weights, features};
use std::path::{Path, PathBuf};

const SHARD: &str = "views/train-00000.arrow";

/// Features with two further views of each image, whose numbers are the image's id plus the
/// view's number, and their data set.
fn world() -> (World, PathBuf, Artifact) {
    let world = World::new();
    let dataset = Artifact::open(&world.path("dataset")).unwrap();
    let weights = Weights::random(&encoder().parameters(), 1).bytes();
    let cells = |pixels: &[u8], view| vec![f32::from(pixels[0]) + view as f32; CELLS * CHANNELS];
    let made_by = EncoderConfig::ResNet(encoder());
    let path = world.path("views");
    features::write_views(&path, &dataset, &made_by, &weights, 3, &cells);
    (world, path, dataset)
}

fn number(bytes: Option<&[u8]>) -> Option<f32> {
    let bytes = bytes?;
    assert_eq!(bytes.len(), 4 * CELLS * CHANNELS);
    let numbers: Vec<&[u8]> = bytes.chunks(4).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]));
    Some(f32::from_ne_bytes(numbers[0].try_into().unwrap()))
}

#[test]
fn each_image_of_train_has_its_views() {
    let (_world, path, dataset) = world();
    let verdict = judge(&path, Some("features"), &[dataset]).unwrap();
    assert_eq!(verdict.findings, []);
    let features = Features::open(&Artifact::open(&path).unwrap()).unwrap();
    assert_eq!((features.views(), features.len()), (3, 5));
    for id in [1, 2, 3] {
        let seen = [0, 1, 2, 3].map(|view| number(features.view(id, view)));
        let id = id as f32;
        assert_eq!(seen, [Some(id), Some(id + 1.0), Some(id + 2.0), None]);
    }
    assert_eq!(number(features.view(10, 0)), Some(10.0));
    assert_eq!(number(features.view(10, 1)), None);
    assert_eq!(number(features.row(2)), Some(2.0));
}

/// The findings about a copy of the features that was spoilt.
fn found(spoil: impl FnOnce(&Path)) -> Vec<String> {
    let (_world, path, dataset) = world();
    spoil(&path);
    remake(&path);
    let verdict = judge(&path, Some("features"), &[dataset]).unwrap();
    let artifact = Artifact::open(&path).unwrap();
    let taken = Features::open(&artifact).and_then(|features| features.check_finite());
    assert_eq!(taken.is_err(), !verdict.findings.is_empty());
    verdict.findings.iter().map(ToString::to_string).collect()
}

fn write(root: &Path, views: usize, ids: &[i64], number: f32) {
    let shape = [views, CELLS, CHANNELS];
    let path = root.join(SHARD);
    let mut writer =
        TensorShardWriter::create(&path, "features", Dtype::F32, &shape, &["a", "b", "c"]).unwrap();
    let row = number.to_ne_bytes().repeat(shape.iter().product());
    ids.iter().for_each(|id| writer.push(*id, &row).unwrap());
    writer.finish().unwrap();
}

#[test]
fn wrong_views_are_refused() {
    assert_eq!(found(|_| ()), [""; 0]);
    assert_eq!(found(|root| write(root, 1, &[1, 2, 3], 0.5)), [""; 0]);
    let others = "views/train-00000.arrow: its images are not those of shards/train-00000.arrow";
    assert_eq!(found(|root| write(root, 2, &[1, 3, 2], 0.5)), [others]);
    assert_eq!(
        found(|root| write(root, 2, &[1, 2, 3], f32::NAN)),
        [
            "views/train-00000.arrow: 3 images have features that are NaN or infinite: image 1, image 2, image 3"
        ]
    );
    // Another shard of train has none.
    let lost = found(|root| {
        let rename =
            |from: &str, to: &str| std::fs::rename(root.join(from), root.join(to)).unwrap();
        rename(SHARD, "views/val-00000.arrow");
        json(&root.join("manifest.json"), |manifest| {
            let files = manifest["files"].as_array_mut().unwrap();
            let file = files.iter_mut().find(|file| file["name"] == SHARD).unwrap();
            file["name"] = "views/val-00000.arrow".into();
        });
    });
    assert_eq!(
        lost,
        [
            "views/val-00000.arrow: its images are not those of shards/val-00000.arrow",
            "views/train-00000.arrow: there is none, but other images have further views",
        ]
    );
    let count = found(|root| {
        json(&root.join("manifest.json"), |manifest| {
            manifest["config"] = serde_json::json!({"features": {"grid": [1, 4]}});
        });
    });
    assert_eq!(
        count,
        ["manifest.json: features of [2, 2] cells, but its config says [1, 4]"]
    );
}

/// Features of fewer cells than the encoder makes are whole if their config says so, and only a
/// decoder of that grid takes them.
#[test]
fn pooled_features_fit_one_grid() {
    let (_world, path, dataset) = world();
    let encoder = EncoderConfig::ResNet(encoder());
    let native = [2 * SIDE as i64; 2];
    let open = || Features::open(&Artifact::open(&path).unwrap()).unwrap();
    assert!(open().check_encoder(&encoder, native).is_err());
    assert_eq!(open().check_decoder([14, 14]), Ok(()));
    json(&path.join("manifest.json"), |manifest| {
        manifest["config"] = serde_json::json!({"features": {"grid": [2, 2]}});
    });
    remake(&path);
    let verdict = judge(&path, Some("features"), &[dataset]).unwrap();
    assert_eq!(verdict.findings, []);
    open().check_encoder(&encoder, native).unwrap();
    assert_eq!(open().check_decoder([2, 2]), Ok(()));
    let why = open().check_decoder([0, 0]).unwrap_err();
    assert_eq!(
        why,
        "features that were pooled to 2 x 2 cells need decoder.grid = [2, 2], not [0, 0]"
    );
}
