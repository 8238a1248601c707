//! Ids as annotation files have them, and the numbers that they become.
//!
//! An artifact's ids are numbers that occur once. Those of people's files are numbers,
//! numbers as text, text or nothing, and may begin anew with each split (images) or
//! with each image (captions). Whatever is a number and occurs once stays what it is.

use crate::annotations::ListedImage;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// An id in an annotation file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Id {
    /// None is given.
    #[default]
    None,
    /// A number, or text that is one: `42`, `42.0`, `"000042"`.
    Number(i64),
    /// Other text.
    Text(String),
}

impl Id {
    /// The number, -1 where it is none.
    pub fn number(&self) -> i64 {
        match self {
            Id::Number(number) => *number,
            Id::None | Id::Text(_) => -1,
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id (a whole number or text)")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
        Ok(i64::try_from(number).map_or_else(|_| Id::Text(number.to_string()), Id::Number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Id, E> {
        // Up to 2^53 each whole number is one.
        match number.fract() == 0.0 && number.abs() <= 9e15 {
            true => Ok(Id::Number(number as i64)),
            false => Err(E::invalid_value(
                serde::de::Unexpected::Float(number),
                &self,
            )),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Ok(text
            .parse()
            .map_or_else(|_| Id::Text(text.to_owned()), Id::Number))
    }

    fn visit_unit<E: Error>(self) -> Result<Id, E> {
        Ok(Id::None)
    }
}

/// Gives out numbers, each once.
pub struct Numbers {
    given: HashSet<i64>,
    next: i64,
    /// How many have another number than their id.
    pub changed: usize,
}

impl Numbers {
    /// Nothing is given out yet; ids that can't keep their number get one from `next` on.
    pub fn new(next: i64) -> Numbers {
        Numbers {
            given: HashSet::new(),
            next,
            changed: 0,
        }
    }

    /// The number of the next id: its own, where that is free.
    pub fn give(&mut self, id: &Id) -> i64 {
        if let Id::Number(number) = id
            && self.given.insert(*number)
        {
            return *number;
        }
        self.changed += 1;
        while !self.given.insert(self.next) {
            self.next = self.next.wrapping_add(1);
        }
        self.next
    }
}

/// The number after the largest of the ids.
pub fn after<'a>(ids: impl Iterator<Item = &'a Id>) -> i64 {
    ids.map(Id::number).max().unwrap_or(-1).wrapping_add(1)
}

/// What an image's id says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An image of its own, with this number.
    New(i64),
    /// An earlier one, by index, has the same id.
    Again(usize),
}

/// Numbers the images. An id that an image of another file has in another split begins
/// anew with the split: all of that split's ids are shifted by a power of ten (or a
/// multiple), so that 17 of the second split becomes, say, 1000017. Within a split it
/// stands for an image of its own only where captions do not name their image by its
/// id: `nested`.
pub fn of_images(images: &[ListedImage], nested: bool) -> Vec<Identity> {
    let mut first: HashMap<&Id, usize> = HashMap::new();
    let mut in_split: HashMap<(&Option<String>, &Id), usize> = HashMap::new();
    let mut anew: Vec<&Option<String>> = Vec::new();
    let same_file = |a: usize, b: usize| {
        (&images[a].folder, &images[a].name) == (&images[b].folder, &images[b].name)
    };
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
        tracing::warn!("image ids begin anew in split {split:?}: {shift} is added to them");
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
            "{} images get a new id: theirs is no number or another image's",
            numbers.changed
        );
    }
    identities
}

/// A power of ten above the distance of any two ids.
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
