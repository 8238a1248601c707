//! From the rows of files to references and results.

use super::file::File;
use super::id::Id;
use super::image::{Captions, Image};
use super::kind::{self, Kind};
use super::row::{CAPTIONS, IDS, LAST_ID, NAMES, Places, Row, Rows};
use super::{json, table};
use crate::Error;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Reads references from one file with ids, or from text files with one line per image.
/// An empty line adds no reference. `split` selects the images of one split, if the file
/// states splits as Karpathy's does.
///
/// # Errors
/// [`Error::Malformed`] naming the file and the place in it.
pub fn references<'a>(files: &'a [File], split: Option<&str>) -> Result<Captions<'a>, Error> {
    let kinds = files
        .iter()
        .map(kind::recognise)
        .collect::<Result<Vec<_>, _>>()?;
    let text = |kind: &Kind<'a>| match kind {
        Kind::Text(text) => Some(*text),
        _ => None,
    };
    if let Some(texts) = kinds.iter().map(text).collect::<Option<Vec<_>>>() {
        return text_references(files, &texts, split);
    }
    let ([file], Ok([kind])) = (files, <[_; 1]>::try_from(kinds)) else {
        return Err(files[0].malformed(
            "give all references in one file; only plain text, where line n is image n, may be several files",
        ));
    };
    let Rows {
        rows,
        places,
        distinct,
    } = rows(file, kind)?;
    let rows = select_split(file, rows, split)?;
    let mut index: HashMap<Id, usize> = HashMap::with_capacity(rows.len());
    let mut images: Vec<Image> = Vec::new();
    for row in rows {
        let image = image(file, places, row)?;
        match index.entry(image.id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(images.len());
                images.push(image);
            }
            Entry::Occupied(_) if distinct => {
                return Err(file.malformed(format!(
                    "{}: image {} is here a second time; if ids start again in each split, choose one with --split",
                    places.name(image.place),
                    image.id
                )));
            }
            Entry::Occupied(entry) => images[*entry.get()].captions.extend(image.captions),
        }
    }
    Ok(Captions {
        path: &file.path,
        places,
        images,
    })
}

/// Reads results from a file: one caption per image.
///
/// # Errors
/// [`Error::Malformed`] naming the file and the place in it. An image with two results is
/// such an error, as in the COCO tool.
pub fn results(file: &File) -> Result<Captions<'_>, Error> {
    let kind = kind::recognise(file)?;
    let Rows { rows, places, .. } = rows(file, kind)?;
    let mut first: HashMap<Id, usize> = HashMap::with_capacity(rows.len());
    let mut images = Vec::with_capacity(rows.len());
    for row in rows {
        let image = image(file, places, row)?;
        let (id, place) = (&image.id, places.name(image.place));
        if image.captions.len() != 1 {
            return Err(file.malformed(format!(
                "{place}: image {id} has {} captions; in results each image has one (are these the references?)",
                image.captions.len()
            )));
        }
        if let Some(before) = first.insert(id.clone(), image.place) {
            let before = places.name(before);
            return Err(file.malformed(format!(
                "image {id} has two results, {before} and {place}; each image has one"
            )));
        }
        images.push(image);
    }
    Ok(Captions {
        path: &file.path,
        places,
        images,
    })
}

fn rows<'a>(file: &'a File, kind: Kind<'a>) -> Result<Rows<'a>, Error> {
    let read = match kind {
        Kind::Json(text) => json::rows(text),
        Kind::Table(layout, text) => table::rows(&layout, text).map(|rows| Rows {
            rows,
            places: match layout.numbered {
                true => Places::FlickrLine,
                false => Places::Line,
            },
            distinct: false,
        }),
        Kind::Text(text) => Ok(Rows {
            rows: (1..).zip(text.lines()).map(line).collect(),
            places: Places::TextLine,
            distinct: true,
        }),
    };
    read.map_err(|what| file.malformed(what))
}

fn line<'a>((number, text): (usize, &'a str)) -> Row<'a> {
    Row {
        id: Some(Id::Number(number as i64)),
        captions: Some(vec![text.into()]),
        place: number,
        ..Row::default()
    }
}

fn image<'a>(file: &File, places: Places, row: Row<'a>) -> Result<Image<'a>, Error> {
    let missing = |what: &str, names: &[&str]| {
        let (place, names) = (places.name(row.place), names.join(", "));
        file.malformed(format!(
            "{place} has no {what}; its key must be one of {names}"
        ))
    };
    let name = row.name;
    let Some(id) = row.id.or_else(|| name.clone()).or(row.last_id) else {
        return Err(missing(
            "image id",
            &[&IDS[..], &NAMES, &[LAST_ID]].concat(),
        ));
    };
    let Some(captions) = row.captions else {
        return Err(missing("caption", &CAPTIONS));
    };
    Ok(Image {
        id,
        name,
        captions,
        place: row.place,
    })
}

fn select_split<'a>(
    file: &File,
    mut rows: Vec<Row<'a>>,
    split: Option<&str>,
) -> Result<Vec<Row<'a>>, Error> {
    let Some(split) = split else {
        return Ok(rows);
    };
    let mut splits: Vec<String> = rows
        .iter()
        .flat_map(|row| row.split.as_deref())
        .map(String::from)
        .collect();
    splits.sort_unstable();
    splits.dedup();
    if splits.is_empty() {
        return Err(file.malformed("has no splits; Karpathy's dataset_*.json has them"));
    }
    rows.retain(|row| row.split.as_deref() == Some(split));
    match rows.is_empty() {
        true => Err(file.malformed(format!(
            "has no image of split {split:?}; its splits are {}",
            splits.join(", ")
        ))),
        false => Ok(rows),
    }
}

fn text_references<'a>(
    files: &'a [File],
    texts: &[&'a str],
    split: Option<&str>,
) -> Result<Captions<'a>, Error> {
    let (first, count) = (&files[0], texts[0].lines().count());
    if split.is_some() {
        return Err(first.malformed("plain text has no splits; Karpathy's dataset_*.json has them"));
    }
    let mut images: Vec<Image> = (1..=count)
        .map(|place| Image {
            id: Id::Number(place as i64),
            name: None,
            captions: Vec::with_capacity(files.len()),
            place,
        })
        .collect();
    for (file, text) in files.iter().zip(texts) {
        let lines = text.lines().count();
        if lines != count {
            return Err(file.malformed(format!(
                "{lines} lines, but {} has {count}; line n of each file is image n",
                first.path.display()
            )));
        }
        for (image, line) in images.iter_mut().zip(text.lines()) {
            image
                .captions
                .extend((!line.trim().is_empty()).then(|| line.into()));
        }
    }
    Ok(Captions {
        path: &first.path,
        places: Places::TextLine,
        images,
    })
}
