//! Karpathy's `dataset_{coco,flickr8k,flickr30k,rsicd}.json`
//! (<https://cs.stanford.edu/people/karpathy/deepimagesent/>): images with their
//! split and sentences in one file.

use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_json};
use crate::config::Section;
use crate::ids::Id;
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
    #[serde(default)]
    imgid: Id,
    /// COCO alone: COCO's own image id.
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

/// Reads the file. The image's id is its `cocoid`, or `imgid` where it has none.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let path = root.join(&section.annotations);
    let what = "Karpathy's dataset_*.json (dataset.root, dataset.annotations)";
    let file: DatasetFile = read_json(&path, what)?;
    let mut all = Annotations {
        nested: true,
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
            folder: section.image_dir.clone(),
            name,
        });
        all.captions
            .extend(image.sentences.into_iter().map(|sentence| ListedCaption {
                caption_id: sentence.sentid,
                image_id: image_id.clone(),
                image: Some(index),
                caption: sentence.raw.unwrap_or_default(),
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
