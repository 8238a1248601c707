//! Official COCO caption files, as described in <https://cocodataset.org/#format-data>:
//! `annotations/captions_{split}{year}.json` beside `{split}{year}/`.

use super::layout::{Layout, Reading};
use super::look;
use super::read::read_json;
use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::config::Section;
use crate::ids::Id;
use crate::reference::Reference;
use crate::source;
use attend_artifact::tables::split_order;
use attend_program::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The layout `coco`.
pub const LAYOUT: Layout = Layout {
    name: "coco",
    holds: "annotations/ and the folders of photographs, such as train2014/ and val2014/",
    look,
    read,
};

/// A reading for each year of `annotations/captions_{split}{year}.json`, with the splits
/// whose photographs are there. If no photographs are, it has all splits.
fn look(path: &Path) -> Result<Vec<Reading>> {
    let (mut root, file) = look::place(path);
    let is_annotations = root.file_name().is_some_and(|name| name == "annotations");
    if is_annotations && let Some(parent) = root.parent() {
        root = parent.to_owned();
    }
    let mut years: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in look::files(&root.join("annotations")) {
        let stem = (name.strip_prefix("captions_")).and_then(|name| name.strip_suffix(".json"));
        let Some(stem) = stem.filter(|_| file.as_ref().is_none_or(|file| *file == name)) else {
            continue;
        };
        let split = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        let year = years.entry(stem[split.len()..].to_owned()).or_default();
        year.push(split.to_owned());
    }
    let readings = years.into_iter().map(|(year, mut splits)| {
        let is_there = |dir: &str, split: &String| {
            source::is_there(&root.join(folder(&root, dir, format!("{split}{year}"))))
        };
        let dirs = ["", "images"].into_iter();
        let dir = dirs
            .into_iter()
            .find(|dir| splits.iter().any(|split| is_there(dir, split)));
        if let Some(dir) = dir {
            splits.retain(|split| is_there(dir, split));
        }
        splits.sort_by(|a, b| split_order(a).cmp(&split_order(b)));
        let mut settings = vec![
            ("year", year.clone().into()),
            ("splits", splits.clone().into()),
        ];
        settings.extend(
            dir.filter(|dir| !dir.is_empty())
                .map(|dir| ("image_dir", dir.into())),
        );
        Reading {
            what: format!("COCO's captions of {year} ({})", splits.join(", ")),
            root: root.clone(),
            settings,
        }
    });
    Ok(readings.collect())
}

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
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let splits = section.splits.names();
    if splits.is_empty() {
        return Err(Error::usage(
            "dataset.splits must be a list of at least one split, such as [\"train\", \"val\"]",
        ));
    }
    let mut all = Annotations::default();
    for split in splits {
        let stem = format!("{split}{}", section.year);
        let path = root.join(format!("annotations/captions_{stem}.json"));
        let what =
            format!("COCO's captions of {stem} (dataset.root, dataset.splits, dataset.year)");
        let (file, input): (CaptionFile, _) = read_json(&path, &what)?;
        all.inputs.push((format!("captions_{split}"), input));
        let folder = all.folder(folder(root, &section.image_dir, stem));
        // Captions name an image of their own file; ids may repeat in the next file.
        let mut by_id: HashMap<Id, usize> = HashMap::new();
        for image in file.images {
            by_id.entry(image.id.clone()).or_insert(all.images.len());
            all.images.push(ListedImage {
                image_id: image.id,
                split: Some(split.to_owned()),
                photograph: Reference {
                    folder,
                    name: image.file_name,
                },
            });
        }
        all.captions
            .extend(file.annotations.into_iter().map(|caption| ListedCaption {
                caption_id: caption.id,
                image: by_id.get(&caption.image_id).copied(),
                image_id: caption.image_id,
                caption: caption.caption.unwrap_or_default(),
            }));
    }
    Ok(all)
}

/// The folder of a split's photographs: `stem`, in `image_dir` if it is there; else
/// `image_dir` itself.
fn folder(root: &Path, image_dir: &str, stem: String) -> String {
    match image_dir.trim_end_matches('/') {
        "" => stem,
        folder => {
            let of_split = format!("{folder}/{stem}");
            match source::is_there(&root.join(&of_split)) {
                true => of_split,
                false => folder.to_owned(),
            }
        }
    }
}
