//! Boxes of objects from COCO instance files
//! (<https://cocodataset.org/#format-data>, object detection).

use crate::config::Section;
use crate::formats::open::hash;
use crate::formats::read::read_json;
use crate::ids::Id;
use crate::select::Candidate;
use attend_artifact::Input;
use attend_artifact::dataset::{ObjectRecord, RejectedRecord};
use attend_artifact::ledger::Reason;
use attend_program::Result;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct InstanceFile {
    images: Vec<Image>,
    annotations: Vec<Instance>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    #[serde(default)]
    file_name: Option<String>,
    #[serde(default)]
    width: Option<f64>,
    #[serde(default)]
    height: Option<f64>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    id: Id,
    image_id: Id,
    category_id: Id,
    #[serde(default)]
    bbox: Bbox,
}

/// A box as a file has it. One that is not a list of four numbers does not stop the others
/// from being read.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bbox {
    /// Left, top, width, height in pixels.
    Numbers([f64; 4]),
    Other(IgnoredAny),
}

impl Default for Bbox {
    fn default() -> Bbox {
        Bbox::Other(IgnoredAny)
    }
}

#[derive(Deserialize)]
struct Category {
    id: Id,
    name: String,
}

const WHAT: &str = "COCO's instances (dataset.root, dataset.objects)";

/// A box and the id of its annotation.
pub struct Found {
    /// The annotation's id, or its index in the file if the id is not a number.
    pub id: i64,
    /// The box.
    pub object: ObjectRecord,
}

/// A file with boxes.
pub struct BoxFile {
    /// The file.
    pub path: PathBuf,
    /// Its role among the inputs in the manifest: `objects`, `objects_1`, …
    pub role: String,
    /// Its digest.
    pub input: Input,
}

/// The files that `dataset.objects` names.
///
/// # Errors
/// `Error::Input` if one does not exist.
pub fn files(root: &Path, section: &Section) -> Result<Vec<BoxFile>> {
    let names = section.objects.names().into_iter().enumerate();
    names
        .map(|(index, name)| {
            let path = root.join(name);
            Ok(BoxFile {
                input: hash(&path, WHAT)?,
                path,
                role: match index {
                    0 => "objects".to_owned(),
                    index => format!("objects_{index}"),
                },
            })
        })
        .collect()
}

/// Reads the boxes of the candidates, in the candidates' order and then the files', clipped
/// to the image. `rejected` has the rejected images; boxes that can't be used are added.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(
    files: &[BoxFile],
    candidates: &[Candidate],
    rejected: &mut Vec<RejectedRecord>,
) -> Result<Vec<Found>> {
    let mut order: HashMap<&Id, Vec<usize>> = HashMap::new();
    for (index, image) in candidates.iter().enumerate() {
        order.entry(&image.source_id).or_default().push(index);
    }
    let mut objects: Vec<(usize, Found)> = Vec::new();
    let mut rows = Vec::new();
    for BoxFile { path, .. } in files {
        let (file, _): (InstanceFile, _) = read_json(path, WHAT)?;
        let images: HashMap<&Id, &Image> =
            file.images.iter().map(|image| (&image.id, image)).collect();
        let names: HashMap<&Id, &str> = file
            .categories
            .iter()
            .map(|category| (&category.id, category.name.as_str()))
            .collect();
        for (place, instance) in (0..).zip(&file.annotations) {
            let id = match instance.id {
                Id::Number(id) => id,
                _ => place,
            };
            let image = images.get(&instance.image_id).copied();
            let found = order.get(&instance.image_id).map_or(&[][..], Vec::as_slice);
            let Some(index) = one_of(found, candidates, image) else {
                let image_id = instance.image_id.number();
                let detail = match found.len() {
                    0 => "no image with this image_id is listed",
                    _ => "images of several splits have this image_id",
                };
                let reason = Reason::NoImage;
                rows.push(RejectedRecord::object(id, image_id, "", reason, detail));
                continue;
            };
            let Candidate {
                image_id,
                file_name,
                ..
            } = &candidates[index];
            let name = names.get(&instance.category_id).copied();
            match object(*image_id, &instance.bbox, image, name) {
                Ok(object) => objects.push((index, Found { id, object })),
                Err((reason, detail)) => {
                    rows.push(RejectedRecord::object(
                        id, *image_id, file_name, reason, detail,
                    ));
                }
            }
        }
    }
    let of_images = rejected_images(rejected);
    let of_image = |row: &RejectedRecord| of_images.get(&row.image_id).copied();
    let rows = rows.into_iter().map(|row| match of_image(&row) {
        Some(image) if row.reason == Reason::NoImage => of_rejected(row.id, image),
        _ => row,
    });
    let rows: Vec<RejectedRecord> = rows.collect();
    rejected.extend(rows);
    objects.sort_by_key(|(index, _)| *index);
    Ok(objects.into_iter().map(|(_, object)| object).collect())
}

/// The candidate that a box belongs to. If several have its image's id, it is the one
/// whose file has the image's name.
fn one_of(found: &[usize], candidates: &[Candidate], image: Option<&Image>) -> Option<usize> {
    let [one] = found else {
        let name = image?.file_name.as_deref()?;
        let named = |index: &&usize| candidates[**index].file_name.ends_with(name);
        let mut named = found.iter().filter(named);
        return named.next().filter(|_| named.next().is_none()).copied();
    };
    Some(*one)
}

/// The rejected images, by id; without duplicates, whose id is an earlier image's.
fn rejected_images(rejected: &[RejectedRecord]) -> HashMap<i64, &RejectedRecord> {
    let images = rejected
        .iter()
        .filter(|row| row.kind == "image" && row.reason != Reason::DuplicateId);
    images.map(|row| (row.image_id, row)).collect()
}

/// The ledger row of a box whose image was rejected.
fn of_rejected(id: i64, image: &RejectedRecord) -> RejectedRecord {
    let (reason, detail) = (Reason::ImageRejected, &*image.reason);
    RejectedRecord::object(id, image.image_id, &image.file_name, reason, detail)
}

/// Moves the boxes of rejected images to the ledger.
pub fn keep(found: Vec<Found>, rejected: &mut Vec<RejectedRecord>) -> Vec<ObjectRecord> {
    let of_images = rejected_images(rejected);
    let mut rows = Vec::new();
    let mut objects = Vec::with_capacity(found.len());
    for Found { id, object } in found {
        match of_images.get(&object.image_id) {
            Some(image) => rows.push(of_rejected(id, image)),
            None => objects.push(object),
        }
    }
    rejected.extend(rows);
    objects
}

/// The box in fractions of its image, or the reason and details why it can't be used.
fn object(
    image_id: i64,
    bbox: &Bbox,
    image: Option<&Image>,
    name: Option<&str>,
) -> Result<ObjectRecord, (Reason, &'static str)> {
    let name = name.ok_or((
        Reason::NoCategory,
        "no category with this category_id is listed",
    ))?;
    let Bbox::Numbers([x, y, w, h]) = *bbox else {
        return Err((Reason::BadBox, "bbox: not four numbers"));
    };
    let size = image.and_then(|image| Some((image.width?, image.height?)));
    let (width, height) = size
        .filter(|(width, height)| *width > 0.0 && *height > 0.0)
        .ok_or((Reason::BadBox, "its image has no width and height there"))?;
    let edge = |at: f64, length: f64| (at / length).clamp(0.0, 1.0);
    let (left, right) = (edge(x, width), edge(x + w, width));
    let (top, bottom) = (edge(y, height), edge(y + h, height));
    if !(right > left && bottom > top) {
        return Err((Reason::BadBox, "bbox: no area within the image"));
    }
    Ok(ObjectRecord {
        image_id,
        name: name.to_owned(),
        x: left as f32,
        y: top as f32,
        width: (right - left) as f32,
        height: (bottom - top) as f32,
    })
}
