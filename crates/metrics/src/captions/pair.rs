//! Finds the references that each result is compared with.

use super::id::{self, Id};
use super::image::{Captions, Image};
use super::row::Places;
use crate::Error;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Results with their references, and the images left over.
pub struct Pairs<'a> {
    /// Image and caption, in the order of the results.
    pub results: Vec<(Id<'a>, Cow<'a, str>)>,
    /// The references of each result.
    pub references: Vec<Vec<Cow<'a, str>>>,
    /// Images that have references but no result, by ascending id.
    pub others: Vec<Image<'a>>,
}

/// Reduces the name in an id to the part that is compared.
type Rule = fn(&str) -> &str;
const RULES: [Rule; 4] = [id::whole, id::file_name, id::stem, id::number];

/// Finds each result's references. Ids are compared by the first of these rules that finds
/// an image for every result: unchanged; without folders; without folders and extension;
/// by the number in a name (`COCO_val2014_000000000042.jpg`). Names are also looked up
/// among the file names beside the references' ids. Flickr8k's own file has names only:
/// there a number is the image's position, from 0, as in Karpathy's files. In plain text,
/// line n of the results belongs to line n of the references, and both must have the same
/// number of lines.
///
/// # Errors
/// [`Error::Malformed`] naming the result without references.
pub fn pair<'a>(results: Captions<'a>, mut references: Captions<'a>) -> Result<Pairs<'a>, Error> {
    if results.images.is_empty() {
        return Err(results.malformed("holds no results"));
    }
    if references.images.is_empty() {
        return Err(references.malformed("holds no captions"));
    }
    check_lines(&results, &references)?;
    let numbers = (results.images.iter()).all(|result| matches!(result.id, Id::Number(_)));
    if numbers && references.places == Places::FlickrLine {
        for (image, number) in references.images.iter_mut().zip(0..) {
            image.name = Some(std::mem::replace(&mut image.id, Id::Number(number)));
        }
    }
    let mut found = Vec::new();
    for rule in RULES {
        let by_rule = find(&results, &references, rule);
        if count_found(&by_rule) >= count_found(&found) {
            found = by_rule;
        }
        if count_found(&found) == results.images.len() {
            break;
        }
    }
    let mut images = references.images;
    let mut scored = Vec::with_capacity(found.len());
    let mut first: HashMap<usize, &Image> = HashMap::with_capacity(found.len());
    for (result, image) in results.images.iter().zip(&found) {
        let Some(image) = *image else {
            return Err(no_reference(
                &results,
                result,
                found.len() - count_found(&found),
                &images,
                references.path,
            ));
        };
        if let Some(before) = first.insert(image, result) {
            let [before, place] = [before, result].map(|r| results.places.name(r.place));
            return Err(results.malformed(format!(
                "image {} has two results, {before} and {place}; each image has one",
                images[image].id
            )));
        }
        scored.push(std::mem::take(&mut images[image].captions));
    }
    images.retain(|image| !image.captions.is_empty());
    images.sort_by(|a, b| a.id.cmp(&b.id));
    let result = |image: Image<'a>| Some((image.id, image.captions.into_iter().next()?));
    Ok(Pairs {
        results: results.images.into_iter().filter_map(result).collect(),
        references: scored,
        others: images,
    })
}

fn count_found(found: &[Option<usize>]) -> usize {
    found.iter().flatten().count()
}

/// The index of each result's image; `None` if there is none, or more than one.
fn find(results: &Captions, references: &Captions, rule: Rule) -> Vec<Option<usize>> {
    // `None`: several images have this id.
    let mut ids: HashMap<Id, Option<usize>> = HashMap::with_capacity(references.images.len());
    let mut names = HashMap::new();
    let with_captions = |(_, image): &(usize, &Image)| !image.captions.is_empty();
    for (index, image) in references.images.iter().enumerate().filter(with_captions) {
        let put = |found: &mut Option<usize>| *found = found.filter(|found| *found == index);
        ids.entry(image.id.reduced(rule))
            .and_modify(put)
            .or_insert(Some(index));
        if let Some(name) = &image.name {
            names
                .entry(name.reduced(rule))
                .and_modify(put)
                .or_insert(Some(index));
        }
    }
    let find = |result: &Image| {
        let id = result.id.reduced(rule);
        // A number is never looked up as a name.
        let name = matches!(result.id, Id::Name(_))
            .then(|| names.get(&id))
            .flatten();
        match (ids.get(&id), name) {
            (Some(id), Some(name)) if id != name => None,
            (id, name) => *id.or(name)?,
        }
    };
    results.images.iter().map(find).collect()
}

/// Checks that both files are plain text with the same number of lines, or neither is.
fn check_lines(results: &Captions, references: &Captions) -> Result<(), Error> {
    let other = references.path.display();
    match [results, references].map(|captions| captions.places == Places::TextLine) {
        [true, true] if results.images.len() != references.images.len() => {
            Err(results.malformed(format!(
                "{} lines, but {other} has {}; in plain text line n is image n",
                results.images.len(),
                references.images.len()
            )))
        }
        [true, false] => Err(results.malformed(format!(
            "plain text, which names no image, but {other} does; give results with ids, such as [{{\"image_id\": 42, \"caption\": \"a dog\"}}] or a CSV file with the header image_id,caption"
        ))),
        [false, true] => Err(results.malformed(format!(
            "names its images, but {other} is plain text, which names none; give references with ids, or results as plain text, too, line n for image n"
        ))),
        _ => Ok(()),
    }
}

fn no_reference(
    results: &Captions,
    result: &Image,
    count: usize,
    images: &[Image],
    references: &Path,
) -> Error {
    let known: Vec<String> = images
        .iter()
        .take(3)
        .map(|image| match &image.name {
            Some(name) if *name != image.id => format!("{} ({name})", image.id),
            _ => image.id.to_string(),
        })
        .collect();
    results.malformed(format!(
        "{} is of image {}, which has no reference in {} ({count} of {} results have none; its images are {}, …)",
        results.places.name(result.place),
        result.id,
        references.display(),
        results.images.len(),
        known.join(", ")
    ))
}
