//! Official COCO caption files, as <https://cocodataset.org/#format-data> has
//! them: `annotations/captions_{split}{year}.json` beside `{split}{year}/`.

use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_json};
use crate::config::Section;
use crate::ids::Id;
use crate::source;
use attend_artifact::Result;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

#[derive(Deserialize)]
struct CaptionFile {
    images: Vec<Image>,
    annotations: Vec<Caption>,
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    file_name: String,
}

#[derive(Deserialize)]
struct Caption {
    #[serde(default)]
    id: Id,
    image_id: Id,
    #[serde(deserialize_with = "Option::deserialize")]
    caption: Option<String>,
}

/// Reads the caption file of every split.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let mut all = Annotations::default();
    for split in section.splits.names() {
        let stem = format!("{split}{}", section.year);
        let folder = match section.image_dir.trim_end_matches('/') {
            "" => stem.clone(),
            folder => {
                let of_split = format!("{folder}/{stem}");
                match source::is_there(&root.join(&of_split)) {
                    true => of_split,
                    false => folder.to_owned(),
                }
            }
        };
        let path = root.join(format!("annotations/captions_{stem}.json"));
        let what =
            format!("COCO's captions of {stem} (dataset.root, dataset.splits, dataset.year)");
        let file: CaptionFile = read_json(&path, &what)?;
        // Captions name an image of their own file: its ids may begin anew in the next.
        let mut by_id: HashMap<Id, usize> = HashMap::new();
        for image in file.images {
            by_id.entry(image.id.clone()).or_insert(all.images.len());
            all.images.push(ListedImage {
                image_id: image.id,
                split: Some(split.to_owned()),
                folder: folder.clone(),
                name: image.file_name,
            });
        }
        all.captions
            .extend(file.annotations.into_iter().map(|caption| ListedCaption {
                caption_id: caption.id,
                image: by_id.get(&caption.image_id).copied(),
                image_id: caption.image_id,
                caption: caption.caption.unwrap_or_default(),
            }));
        all.files.push(AnnotationFile {
            role: format!("captions_{split}"),
            path,
        });
        all.folders.push(folder);
    }
    Ok(all)
}
