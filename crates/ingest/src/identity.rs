//! Finds images that are listed more than once, and numbers the distinct ones.

use crate::annotations::ListedImage;
use crate::ids::{Id, Numbers, after};
use std::collections::HashMap;

/// The identity of a listed image, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A new image, with this number.
    New(i64),
    /// The same id as an earlier image, which has this index.
    Again(usize),
}

/// Numbers the images. If another file has the same id in another split, ids start over in
/// each split: all of the later split's ids are shifted by a power of ten (or a multiple),
/// so that 17 becomes, say, 1000017. If another file has the same id in the same split, it
/// counts as a distinct image only with `nested`, where captions don't name their image by
/// its id.
pub fn number(images: &[ListedImage], nested: bool) -> Vec<Identity> {
    let mut first: HashMap<&Id, usize> = HashMap::new();
    let mut in_split: HashMap<(&Option<String>, &Id), usize> = HashMap::new();
    let mut anew: Vec<&Option<String>> = Vec::new();
    let same_file = |a: usize, b: usize| images[a].photograph == images[b].photograph;
    let mut identities: Vec<Identity> = Vec::with_capacity(images.len());
    for (index, image) in images.iter().enumerate() {
        let ListedImage {
            image_id, split, ..
        } = image;
        identities.push(Identity::New(0));
        if *image_id == Id::None {
            continue;
        }
        let of_split = *in_split.entry((split, image_id)).or_insert(index);
        let of_all = *first.entry(image_id).or_insert(index);
        if of_split != index && (!nested || same_file(of_split, index)) {
            identities[index] = Identity::Again(of_split);
        } else if of_all != index && same_file(of_all, index) {
            identities[index] = Identity::Again(of_all);
        } else if images[of_all].split != *split
            && matches!(image_id, Id::Number(_))
            && !anew.contains(&split)
        {
            anew.push(split);
        }
    }
    let step = step(images);
    let shifted = |image: &ListedImage| {
        let place = anew.iter().position(|split| **split == image.split);
        match (&image.image_id, place) {
            (Id::Number(number), Some(place)) => {
                let shifted = i128::from(*number) + step * (place as i128 + 1);
                i64::try_from(shifted).map_or(Id::None, Id::Number)
            }
            (id, _) => id.clone(),
        }
    };
    for (place, split) in anew.iter().enumerate() {
        let split = split.as_deref().unwrap_or_default();
        let shift = step * (place as i128 + 1);
        tracing::warn!("image ids start over in split {split:?}: {shift} is added to them");
    }
    let ids: Vec<Id> = images.iter().map(shifted).collect();
    let mut numbers = Numbers::new(after(ids.iter()));
    for (identity, id) in identities.iter_mut().zip(&ids) {
        if let Identity::New(number) = identity {
            *number = numbers.give(id);
        }
    }
    if numbers.changed > 0 {
        tracing::warn!(
            "{} images get a new id, because theirs is not a number or not unique",
            numbers.changed
        );
    }
    identities
}

/// A power of ten larger than the distance between any two ids.
fn step(images: &[ListedImage]) -> i128 {
    let numbers = || {
        images
            .iter()
            .map(|image| i128::from(image.image_id.number()))
    };
    let span = numbers().max().unwrap_or(0) - numbers().min().unwrap_or(0);
    let mut step = 10;
    while step <= span {
        step *= 10;
    }
    step
}
