//! Official COCO caption files, as <https://cocodataset.org/#format-data> has
//! them: `annotations/captions_{split}{year}.json` beside `{split}{year}/`.

use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_json};
use crate::config::Section;
use attend_artifact::Result;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct CaptionFile {
    images: Vec<Image>,
    annotations: Vec<Caption>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
}

#[derive(Deserialize)]
struct Caption {
    id: i64,
    image_id: i64,
    caption: String,
}

/// Reads the caption file of every split.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let mut all = Annotations::default();
    for split in &section.splits {
        let stem = format!("{split}{}", section.year);
        let path = root.join(format!("annotations/captions_{stem}.json"));
        let what =
            format!("COCO's captions of {stem} (dataset.root, dataset.splits, dataset.year)");
        let file: CaptionFile = read_json(&path, &what)?;
        all.images
            .extend(file.images.into_iter().map(|image| ListedImage {
                image_id: image.id,
                split: split.clone(),
                folder: stem.clone(),
                name: image.file_name,
            }));
        all.captions
            .extend(file.annotations.into_iter().map(|caption| ListedCaption {
                caption_id: caption.id,
                image_id: caption.image_id,
                caption: caption.caption,
            }));
        all.files.push(AnnotationFile {
            role: format!("captions_{split}"),
            path,
        });
        all.folders.push(stem);
    }
    Ok(all)
}
