//! Boxes of objects from COCO instance files
//! (<https://cocodataset.org/#format-data>, object detection).

use crate::annotations::{AnnotationFile, open, read_json};
use crate::config::Section;
use crate::select::Candidate;
use attend_artifact::Result;
use attend_artifact::dataset::ObjectRecord;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

#[derive(Deserialize)]
struct InstanceFile {
    images: Vec<Image>,
    annotations: Vec<Instance>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct Instance {
    image_id: i64,
    category_id: i64,
    /// Left, top, width, height in pixels.
    bbox: [f64; 4],
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

const WHAT: &str = "COCO instances (dataset.root, dataset.objects)";

/// The files that `dataset.objects` names.
///
/// # Errors
/// `Error::Input` where one is not there.
pub fn files(root: &Path, section: &Section) -> Result<Vec<AnnotationFile>> {
    let names = section.objects.names();
    names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let role = if index == 0 {
                "objects".to_owned()
            } else {
                format!("objects_{index}")
            };
            let path = root.join(name);
            open(&path, WHAT)?;
            Ok(AnnotationFile { role, path })
        })
        .collect()
}

/// Reads the boxes of the candidates, in their order and then that of the files,
/// cut to the image. Boxes of other images are none of the data set's; boxes
/// without area or with an unknown category are left out.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(files: &[AnnotationFile], candidates: &[Candidate]) -> Result<Vec<ObjectRecord>> {
    let order: HashMap<i64, usize> = candidates
        .iter()
        .enumerate()
        .map(|(index, image)| (image.image_id, index))
        .collect();
    let mut objects: Vec<(usize, ObjectRecord)> = Vec::new();
    let mut left_out = 0;
    for AnnotationFile { path, .. } in files {
        let file: InstanceFile = read_json(path, WHAT)?;
        let sizes: HashMap<i64, (f64, f64)> = file
            .images
            .into_iter()
            .map(|image| (image.id, (image.width, image.height)))
            .collect();
        let names: HashMap<i64, String> = file
            .categories
            .into_iter()
            .map(|category| (category.id, category.name))
            .collect();
        for instance in &file.annotations {
            let Some(&index) = order.get(&instance.image_id) else {
                continue;
            };
            match object(
                instance,
                sizes.get(&instance.image_id),
                names.get(&instance.category_id),
            ) {
                Some(object) => objects.push((index, object)),
                None => left_out += 1,
            }
        }
    }
    if left_out > 0 {
        tracing::warn!("left out {left_out} boxes: no area, no category or no size of the image");
    }
    objects.sort_by_key(|(index, _)| *index);
    Ok(objects.into_iter().map(|(_, object)| object).collect())
}

fn object(
    instance: &Instance,
    size: Option<&(f64, f64)>,
    name: Option<&String>,
) -> Option<ObjectRecord> {
    let &(width, height) = size.filter(|(width, height)| *width > 0.0 && *height > 0.0)?;
    let [x, y, w, h] = instance.bbox;
    let edge = |at: f64, length: f64| (at / length).clamp(0.0, 1.0);
    let (left, right) = (edge(x, width), edge(x + w, width));
    let (top, bottom) = (edge(y, height), edge(y + h, height));
    (right > left && bottom > top).then_some(())?;
    Some(ObjectRecord {
        image_id: instance.image_id,
        name: name?.clone(),
        x: left as f32,
        y: top as f32,
        width: (right - left) as f32,
        height: (bottom - top) as f32,
    })
}
