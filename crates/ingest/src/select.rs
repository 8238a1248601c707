//! Which images and captions can be used, as far as the annotations say.

use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::config::Section;
use crate::ids::{self, Id, Identity, Numbers};
use crate::ledger;
use crate::source::plain;
use attend_artifact::dataset::RejectedRecord;
use std::collections::HashSet;

/// An image whose annotations are in order; its file has not been looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Identity in the artifact: that in the source, where it is a number of its own.
    pub image_id: i64,
    /// Identity in the source.
    pub source_id: Id,
    /// Its split.
    pub split: String,
    /// Its file, relative to the root, with `/`.
    pub file_name: String,
    /// Id and text of its captions, at least one, as in the source.
    pub captions: Vec<(i64, String)>,
}

/// Sorts the annotations into images that can be tried, by split (train, val,
/// test, then by name) and then as in the source, and rows of the ledger.
pub fn select(
    annotations: Annotations,
    section: &Section,
) -> (Vec<Candidate>, Vec<RejectedRecord>) {
    let mut rejected = Vec::new();
    let identities = ids::of_images(&annotations.images, annotations.nested);
    let mut candidates = Vec::with_capacity(annotations.images.len());
    // Of each listed image: its id, and the candidate that it is.
    let mut places: Vec<(i64, Option<usize>)> = Vec::with_capacity(annotations.images.len());
    for (index, image) in annotations.images.iter().enumerate() {
        match usable(image, identities[index], &annotations, section) {
            Ok(candidate) => {
                places.push((candidate.image_id, Some(candidates.len())));
                candidates.push(candidate);
            }
            Err(row) => {
                let first = again(&identities, index, &annotations.images);
                places.push((row.image_id, first.and_then(|first| places[first].1)));
                rejected.push(row);
            }
        }
    }
    distribute(
        annotations.captions,
        &places,
        &mut candidates,
        &mut rejected,
    );
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

/// The image as a candidate, or the row of the ledger.
fn usable(
    image: &ListedImage,
    identity: Identity,
    annotations: &Annotations,
    section: &Section,
) -> Result<Candidate, RejectedRecord> {
    let mut id = image.image_id.number();
    let reject =
        |id, reason: &str, detail: String| Err(ledger::image(id, &image.name, reason, detail));
    match identity {
        Identity::New(number) => id = number,
        Identity::Again(first) => {
            let first = &annotations.images[first];
            let detail = match first.name == image.name {
                true => "an earlier image has the same id and file".to_owned(),
                false => format!(
                    "{} has the same id, and a caption's image_id could mean either; give each image an id of its own",
                    first.name
                ),
            };
            return reject(id, "duplicate-id", detail);
        }
    }
    if plain(&image.name).is_none() {
        let detail = "the file name leads out of the image root";
        return reject(id, "outside-root", detail.into());
    }
    let Some(listed) = &image.split else {
        return reject(id, "no-split", "in no split's list".into());
    };
    let split = match section.split(listed) {
        Ok(split) => split,
        Err(why) => return reject(id, "no-split", why.into()),
    };
    if !is_split_name(&split) {
        let detail = format!(
            "split {split:?}: use letters, digits, - and _, or call it otherwise: dataset.splits = {{ {listed:?} = \"val\" }}"
        );
        return reject(id, "bad-split", detail);
    }
    Ok(Candidate {
        image_id: id,
        source_id: image.image_id.clone(),
        split,
        file_name: match image.folder.trim_end_matches('/') {
            "" => image.name.clone(),
            folder => format!("{folder}/{}", image.name),
        },
        captions: Vec::new(),
    })
}

/// The image that this one is another listing of, in the same split: its captions are
/// that one's.
fn again(identities: &[Identity], index: usize, images: &[ListedImage]) -> Option<usize> {
    match identities[index] {
        Identity::Again(first) => (images[first].split == images[index].split).then_some(first),
        Identity::New(_) => None,
    }
}

/// Gives the captions to their images.
fn distribute(
    captions: Vec<ListedCaption>,
    places: &[(i64, Option<usize>)],
    images: &mut [Candidate],
    rejected: &mut Vec<RejectedRecord>,
) {
    let mut seen = HashSet::new();
    let mut numbers = Numbers::new(ids::after(captions.iter().map(|it| &it.caption_id)));
    for ListedCaption {
        caption_id,
        image_id,
        image,
        caption,
    } in captions
    {
        let listed = image.map(|index| places[index]);
        let number = listed.map_or(image_id.number(), |(number, _)| number);
        let candidate = listed.and_then(|(_, candidate)| candidate);
        let mut reject = |id: i64, reason: &str, detail: &str| {
            let file_name = candidate.map_or("", |place| &*images[place].file_name);
            rejected.push(ledger::caption(id, number, file_name, reason, detail));
        };
        // A caption's id need not be its own among all, only among those of its image.
        if caption_id != Id::None && !seen.insert((candidate, image_id, caption_id.clone())) {
            let detail = "an earlier caption of the image has the same id";
            reject(caption_id.number(), "duplicate-id", detail);
            continue;
        }
        let id = numbers.give(&caption_id);
        match candidate {
            None if image.is_some() => reject(id, "image-rejected", "its image was rejected"),
            None => reject(id, "no-image", "no image with this image_id is listed"),
            Some(_) if !caption.chars().any(shows) => {
                reject(id, "empty-caption", "nothing that shows");
            }
            Some(place) => images[place].captions.push((id, caption)),
        }
    }
    if numbers.changed > 0 {
        tracing::warn!(
            "{} captions get a new id: theirs is no number or another caption's",
            numbers.changed
        );
    }
}

/// Where a split has another name than other stages look for: all splits as a table for
/// `dataset.splits` that calls them so.
pub fn usual_names(candidates: &[Candidate]) -> Option<String> {
    let usual = |split: &str| match split.to_ascii_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("val"),
        "test" | "testing" => Some("test"),
        _ => None,
    };
    let splits = candidates.chunk_by(|a, b| a.split == b.split);
    let splits = splits.map(|images| images[0].split.as_str());
    let splits: Vec<(&str, &str)> = splits
        .map(|split| (split, usual(split).unwrap_or(split)))
        .collect();
    let pairs: Vec<String> = (splits.iter())
        .map(|(split, usual)| format!("{split} = {usual:?}"))
        .collect();
    let other = splits.iter().any(|(split, usual)| split != usual);
    other.then(|| format!("{{ {} }}", pairs.join(", ")))
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
