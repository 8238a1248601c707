//! Karpathy's `dataset_{coco,flickr8k,flickr30k,rsicd}.json`
//! (<https://cs.stanford.edu/people/karpathy/deepimagesent/>): images with their
//! split and sentences in one file.

use super::layout::{Layout, Reading};
use super::look;
use super::read::read_json;
use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::config::Section;
use crate::ids::Id;
use crate::reference::Reference;
use attend_program::Result;
use serde::Deserialize;
use std::path::Path;

/// The layout `karpathy`.
pub const LAYOUT: Layout = Layout {
    name: "karpathy",
    holds: "dataset.annotations and the photographs",
    look,
    read,
};

/// A reading for each file that begins as Karpathy's.
fn look(path: &Path) -> Result<Vec<Reading>> {
    let (root, file) = look::place(path);
    let names = file.map_or_else(|| look::files(&root), |file| vec![file]);
    let json = names.into_iter().filter(|name| name.ends_with(".json"));
    let ours = json.filter(|name| {
        let begin = look::begin(&root.join(name));
        ["\"images\"", "\"filename\"", "\"sentences\""]
            .iter()
            .all(|key| begin.contains(key))
    });
    let readings = ours.map(|name| Reading {
        what: format!("{name}, in Karpathy's format"),
        root: root.clone(),
        settings: vec![("annotations", name.into())],
    });
    Ok(readings.collect())
}

#[derive(Deserialize)]
struct DatasetFile {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    /// COCO only: `train2014` or `val2014`.
    #[serde(default)]
    filepath: String,
    filename: String,
    #[serde(default)]
    imgid: Id,
    /// COCO only: COCO's own image id.
    #[serde(default)]
    cocoid: Id,
    split: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    #[serde(deserialize_with = "Option::deserialize")]
    raw: Option<String>,
    #[serde(default)]
    sentid: Id,
}

/// Reads the file. An image's id is its `cocoid`, or `imgid` if it has none.
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let path = root.join(&section.annotations);
    let what = "Karpathy's dataset_*.json (dataset.root, dataset.annotations)";
    let (file, input): (DatasetFile, _) = read_json(&path, what)?;
    let mut all = Annotations {
        inputs: vec![("annotations".into(), input)],
        folders: vec![section.image_dir.clone()],
        nested: true,
        restval: section.restval,
        ..Annotations::default()
    };
    for image in file.images {
        let image_id = match image.cocoid {
            Id::None => image.imgid,
            id => id,
        };
        let index = all.images.len();
        let name = match image.filepath.as_str() {
            "" => image.filename,
            folder => format!("{folder}/{}", image.filename),
        };
        all.images.push(ListedImage {
            image_id: image_id.clone(),
            split: Some(image.split),
            photograph: Reference { folder: 0, name },
        });
        all.captions
            .extend(image.sentences.into_iter().map(|sentence| ListedCaption {
                caption_id: sentence.sentid,
                image_id: image_id.clone(),
                image: Some(index),
                caption: sentence.raw.unwrap_or_default(),
            }));
    }
    Ok(all)
}
