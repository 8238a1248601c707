//! Selects the images and captions that can be used, judging by the annotations only.

use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::config::{Restval, Splits};
use crate::identity::{self, Identity};
use crate::ids::{self, Id, Numbers};
use crate::name::plain;
use crate::reference::{Reference, Refusal, refuse};
use attend_artifact::dataset::RejectedRecord;
use attend_artifact::ledger::Reason;
use attend_artifact::tables::{is_split_name, split_order};
use std::collections::HashSet;

/// An image with valid annotations, whose file has not been read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Identity in the artifact: that of the source if it is a unique number.
    pub image_id: i64,
    /// Identity in the source.
    pub source_id: Id,
    /// Its split.
    pub split: String,
    /// Its photograph.
    pub photograph: Reference,
    /// The photograph's file relative to the root, with `/`, for tables and messages.
    pub file_name: String,
    /// Id and text of its captions, at least one, as in the source.
    pub captions: Vec<(i64, String)>,
}

/// Divides the annotations into candidates and rows of the ledger. Candidates are sorted by
/// split (train, val, test, then by name), and then as in the source. Without `splits`, all
/// candidates get the split `train`.
pub fn select(
    annotations: Annotations,
    splits: Option<&Splits>,
) -> (Vec<Candidate>, Vec<RejectedRecord>) {
    let mut rejected = Vec::new();
    let identities = identity::number(&annotations.images, annotations.nested);
    let mut candidates = Vec::with_capacity(annotations.images.len());
    // For each listed image: its id, and its index among the candidates.
    let mut places: Vec<(i64, Option<usize>)> = Vec::with_capacity(annotations.images.len());
    for index in 0..annotations.images.len() {
        match usable(index, identities[index], &annotations, splits) {
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
            rejected.push(RejectedRecord::image(
                image.image_id,
                &image.file_name,
                Reason::NoCaption,
                detail,
            ));
        }
        !image.captions.is_empty()
    });
    candidates.sort_by(|a, b| split_order(&a.split).cmp(&split_order(&b.split)));
    (candidates, rejected)
}

/// The image as a candidate, or its row in the ledger.
fn usable(
    index: usize,
    identity: Identity,
    annotations: &Annotations,
    splits: Option<&Splits>,
) -> Result<Candidate, RejectedRecord> {
    let image = &annotations.images[index];
    let mut id = image.image_id.number();
    let Reference { folder, name } = &image.photograph;
    let reject = |id, reason, detail: String| Err(RejectedRecord::image(id, name, reason, detail));
    match identity {
        Identity::New(number) => id = number,
        Identity::Again(first) => {
            let first = &annotations.images[first].photograph.name;
            let detail = match first == name {
                true => "an earlier image has the same id and file".to_owned(),
                false => format!(
                    "{first} has the same id, and a caption's image_id could mean either; give each image an id of its own"
                ),
            };
            return reject(id, Reason::DuplicateId, detail);
        }
    }
    if plain(name).is_none() {
        let detail = "the file name leads out of the image root";
        return reject(id, Reason::OutsideRoot, detail.into());
    }
    if let Some(Refusal { reason, detail }) = annotations.refused.get(&index) {
        return reject(id, *reason, detail.clone());
    }
    let split = match splits {
        Some(splits) => split_of(image, splits, annotations.restval),
        None => Ok("train".to_owned()),
    };
    let split = match split {
        Ok(split) => split,
        Err(Refusal { reason, detail }) => return reject(id, reason, detail),
    };
    Ok(Candidate {
        image_id: id,
        source_id: image.image_id.clone(),
        split,
        photograph: image.photograph.clone(),
        file_name: match annotations.folders[*folder].trim_end_matches('/') {
            "" => name.clone(),
            folder => format!("{folder}/{name}"),
        },
        captions: Vec::new(),
    })
}

/// The image's split in the artifact, or why it has none.
fn split_of(image: &ListedImage, splits: &Splits, restval: Restval) -> Result<String, Refusal> {
    let none = |why: &str| refuse(Reason::NoSplit, why);
    let listed = image.split.as_ref();
    let listed = listed.ok_or_else(|| none("in no split's list"))?;
    let split = split_name(listed, splits, restval).map_err(none)?;
    match is_split_name(&split) {
        true => Ok(split),
        false => Err(refuse(
            Reason::BadSplit,
            format!(
                "split {split:?}: use letters, digits, - and _, or call it otherwise: dataset.splits = {{ {listed:?} = \"val\" }}"
            ),
        )),
    }
}

/// The artifact's name for a split of the source, or why the split's images are left out.
fn split_name(listed: &str, splits: &Splits, restval: Restval) -> Result<String, &'static str> {
    match (splits.renamed(listed), listed, restval) {
        (Some(name), ..) => Ok(name.clone()),
        (None, "restval", Restval::Drop) => Err("dataset.restval = \"drop\""),
        (None, "restval", Restval::Train) => Ok("train".to_owned()),
        _ => Ok(listed.to_owned()),
    }
}

/// The earlier image in the same split that this one repeats, if any. It gets this one's
/// captions.
fn again(identities: &[Identity], index: usize, images: &[ListedImage]) -> Option<usize> {
    match identities[index] {
        Identity::Again(first) => (images[first].split == images[index].split).then_some(first),
        Identity::New(_) => None,
    }
}

/// Assigns the captions to their images.
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
        let mut reject = |id: i64, reason: Reason, detail: &str| {
            let file_name = candidate.map_or("", |place| &*images[place].file_name);
            rejected.push(RejectedRecord::caption(
                id, number, file_name, reason, detail,
            ));
        };
        // A caption's id must be unique among its image's captions only.
        if caption_id != Id::None && !seen.insert((candidate, image_id, caption_id.clone())) {
            let detail = "an earlier caption of the image has the same id";
            reject(caption_id.number(), Reason::DuplicateId, detail);
            continue;
        }
        let id = numbers.give(&caption_id);
        match candidate {
            None if image.is_some() => reject(id, Reason::ImageRejected, "its image was rejected"),
            None => reject(id, Reason::NoImage, "no image with this image_id is listed"),
            Some(_) if !caption.chars().any(shows) => {
                reject(id, Reason::EmptyCaption, "nothing that shows");
            }
            Some(place) => images[place].captions.push((id, caption)),
        }
    }
    if numbers.changed > 0 {
        tracing::warn!(
            "{} captions get a new id, because theirs is not a number or not unique",
            numbers.changed
        );
    }
}

/// Whether a character is visible: neither white space, nor a control character, nor one
/// that only orders or joins others.
fn shows(c: char) -> bool {
    let joins = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !joins && !c.is_whitespace() && !c.is_control()
}
