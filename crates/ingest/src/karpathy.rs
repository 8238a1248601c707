//! Karpathy's `dataset_{coco,flickr8k,flickr30k,rsicd}.json`
//! (<https://cs.stanford.edu/people/karpathy/deepimagesent/>): images with their
//! split and sentences in one file.

use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_json};
use crate::config::{Restval, Section};
use attend_artifact::Result;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct DatasetFile {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    /// COCO alone: `train2014` or `val2014`.
    #[serde(default)]
    filepath: String,
    filename: String,
    imgid: i64,
    /// COCO alone: COCO's own image id.
    cocoid: Option<i64>,
    split: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
    sentid: i64,
}

/// Reads the file. The image's id is its `cocoid`, or `imgid` where it has none.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let path = root.join(&section.annotations);
    let what = "Karpathy's dataset_*.json (dataset.root, dataset.annotations)";
    let file: DatasetFile = read_json(&path, what)?;
    let mut all = Annotations::default();
    for image in file.images {
        let split = match (image.split.as_str(), section.restval) {
            ("restval", Restval::Drop) => continue,
            ("restval", Restval::Train) => "train".to_owned(),
            _ => image.split,
        };
        let image_id = image.cocoid.unwrap_or(image.imgid);
        let name = match image.filepath.as_str() {
            "" => image.filename,
            folder => format!("{folder}/{}", image.filename),
        };
        all.images.push(ListedImage {
            image_id,
            split,
            folder: section.image_dir.clone(),
            name,
        });
        all.captions
            .extend(image.sentences.into_iter().map(|sentence| ListedCaption {
                caption_id: sentence.sentid,
                image_id,
                caption: sentence.raw,
            }));
    }
    all.files.push(AnnotationFile {
        role: "annotations".into(),
        path,
    });
    if !section.image_dir.is_empty() {
        all.folders.push(section.image_dir.clone());
    }
    Ok(all)
}
