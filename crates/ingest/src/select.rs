//! Which images and captions can be used, as far as the annotations say.

use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::ledger;
use crate::source::plain;
use attend_artifact::dataset::RejectedRecord;
use std::collections::{HashMap, HashSet};

/// An image whose annotations are in order; its file has not been looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Identity in the source.
    pub image_id: i64,
    /// Its split.
    pub split: String,
    /// Its file, relative to the root, with `/`.
    pub file_name: String,
    /// Id and text of its captions, at least one, as in the source.
    pub captions: Vec<(i64, String)>,
}

/// Sorts the annotations into images that can be tried, by split (train, val,
/// test, then by name) and then as in the source, and rows of the ledger.
pub fn select(annotations: Annotations) -> (Vec<Candidate>, Vec<RejectedRecord>) {
    let mut rejected = Vec::new();
    let mut candidates = usable_images(annotations.images, &mut rejected);
    distribute(annotations.captions, &mut candidates, &mut rejected);
    candidates.retain(|image| {
        if image.captions.is_empty() {
            let detail = "no caption that can be used";
            rejected.push(ledger::image(
                image.image_id,
                &image.file_name,
                "no-caption",
                detail,
            ));
        }
        !image.captions.is_empty()
    });
    candidates.sort_by(|a, b| split_order(&a.split).cmp(&split_order(&b.split)));
    (candidates, rejected)
}

fn usable_images(images: Vec<ListedImage>, rejected: &mut Vec<RejectedRecord>) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let mut usable = Vec::with_capacity(images.len());
    for image in images {
        let mut reject = |name: &str, reason: &str, detail: String| {
            rejected.push(ledger::image(image.image_id, name, reason, detail));
        };
        if !seen.insert(image.image_id) {
            reject(
                &image.name,
                "duplicate-id",
                "an earlier image has the same id".into(),
            );
        } else if plain(&image.name).is_none() {
            reject(
                &image.name,
                "outside-root",
                "the file name leads out of the image root".into(),
            );
        } else if !is_split_name(&image.split) {
            let detail = format!("split {:?}: use letters, digits, - and _", image.split);
            reject(&image.name, "bad-split", detail);
        } else {
            let file_name = match image.folder.trim_end_matches('/') {
                "" => image.name,
                folder => format!("{folder}/{}", image.name),
            };
            usable.push(Candidate {
                image_id: image.image_id,
                split: image.split,
                file_name,
                captions: Vec::new(),
            });
        }
    }
    usable
}

/// Gives the captions to their images.
fn distribute(
    captions: Vec<ListedCaption>,
    images: &mut [Candidate],
    rejected: &mut Vec<RejectedRecord>,
) {
    let rejected_images: HashSet<i64> = rejected.iter().map(|row| row.image_id).collect();
    let by_id: HashMap<i64, usize> = images
        .iter()
        .enumerate()
        .map(|(index, image)| (image.image_id, index))
        .collect();
    let mut seen = HashSet::new();
    for ListedCaption {
        caption_id,
        image_id,
        caption,
    } in captions
    {
        let image = by_id.get(&image_id).map(|&index| &mut images[index]);
        let file_name = image
            .as_ref()
            .map_or(String::new(), |image| image.file_name.clone());
        let mut reject = |reason: &str, detail: &str| {
            rejected.push(ledger::caption(
                caption_id, image_id, &file_name, reason, detail,
            ));
        };
        if !seen.insert(caption_id) {
            reject("duplicate-id", "an earlier caption has the same id");
            continue;
        }
        match image {
            None if rejected_images.contains(&image_id) => {
                reject("image-rejected", "its image was rejected")
            }
            None => reject("no-image", "no image with this image_id is listed"),
            Some(_) if !caption.chars().any(shows) => reject("empty-caption", "nothing that shows"),
            Some(image) => image.captions.push((caption_id, caption)),
        }
    }
}

/// Whether a character shows: it is neither white space nor a control character
/// nor one of those that only order or join others.
fn shows(c: char) -> bool {
    let joins = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !joins && !c.is_whitespace() && !c.is_control()
}

/// Whether a split's name may be part of a shard's file name.
fn is_split_name(split: &str) -> bool {
    (1..=64).contains(&split.len())
        && split
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn split_order(split: &str) -> (usize, &str) {
    let known = ["train", "val", "test"];
    (
        known
            .iter()
            .position(|name| *name == split)
            .unwrap_or(known.len()),
        split,
    )
}
