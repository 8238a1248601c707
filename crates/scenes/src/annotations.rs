//! Writes captions with splits in the format of Karpathy's `dataset_*.json`, and boxes in
//! that of COCO's `instances_*.json`.

use crate::scene::{Entry, SHAPES, Thing};
use attend_artifact::Staging;
use attend_program::{At, Result};
use serde_json::{Value, json};

/// Writes `dataset_scenes.json` and `annotations/instances.json`.
pub fn write(staging: &Staging, entries: &[Entry], size: usize) -> Result<()> {
    let images: Vec<Value> = entries.iter().map(karpathy).collect();
    file(
        staging,
        "dataset_scenes.json",
        &json!({ "dataset": "scenes", "images": images }),
    )?;
    let images: Vec<Value> = entries
        .iter()
        .map(|entry| json!({ "id": entry.id, "file_name": entry.file_name(), "width": size, "height": size }))
        .collect();
    let boxes = entries.iter().flat_map(|entry| {
        entry
            .scene
            .things
            .iter()
            .map(move |thing| (entry.id, thing))
    });
    let boxes: Vec<Value> = boxes
        .zip(1..)
        .map(|((image, thing), id)| instance(id, image, thing, size))
        .collect();
    let categories: Vec<Value> = SHAPES
        .iter()
        .zip(1..)
        .map(|(shape, id)| json!({ "id": id, "name": shape.noun() }))
        .collect();
    let instances = json!({ "images": images, "annotations": boxes, "categories": categories });
    file(staging, "annotations/instances.json", &instances)
}

fn file(staging: &Staging, name: &str, value: &Value) -> Result<()> {
    let path = staging.path(name)?;
    std::fs::write(&path, value.to_string()).at(&path)?;
    staging.done(name, None)
}

fn karpathy(entry: &Entry) -> Value {
    let first = (entry.id - 1) * 5;
    let sentences: Vec<Value> = entry
        .scene
        .captions()
        .iter()
        .zip(first..)
        .map(|(caption, id)| {
            let tokens: Vec<&str> = caption.split(' ').collect();
            json!({ "raw": caption, "tokens": tokens, "imgid": entry.id, "sentid": id })
        })
        .collect();
    json!({
        "filepath": "images", "filename": entry.file_name(), "imgid": entry.id, "cocoid": entry.id,
        "split": entry.split, "sentids": (first..first + 5).collect::<Vec<_>>(), "sentences": sentences,
    })
}

#[expect(clippy::expect_used, reason = "SHAPES holds every shape")]
fn instance(id: u64, image: u64, thing: &Thing, size: usize) -> Value {
    let edge = size as f64;
    let side = 2.0 * thing.radius * edge;
    let corner = thing.centre.map(|middle| (middle - thing.radius) * edge);
    let category = SHAPES.iter().position(|shape| *shape == thing.shape);
    let category = 1 + category.expect("one of all shapes");
    json!({
        "id": id, "image_id": image, "category_id": category, "bbox": [corner[0], corner[1], side, side],
        "area": side * side, "iscrowd": 0,
    })
}
