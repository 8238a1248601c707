//! Reads captions from files: references that people wrote and results of a captioner.
//!
//! A file is recognised by its content, whatever its name:
//!
//! - JSON: COCO's `captions_*.json` (`annotations` with `image_id` and `caption`)
//!   and results (`[{"image_id", "caption"}]`), Karpathy's `dataset_*.json`, and
//!   `{"42": "a dog"}` or `{"42": ["a dog", "the dog"]}`;
//! - JSON Lines: an object such as `{"image_id": 42, "caption": "a dog"}` on each line;
//! - tables: CSV, also with tabs, `;` or `|`, whose header names the columns; or, without
//!   a header, `42<tab>a dog`, `42.jpg,a dog` and Flickr8k's `42.jpg#0<tab>a dog`;
//! - plain text: line n of each file is a caption of image n.
//!
//! Any other file is refused with a message that says what it is. In objects and tables
//! the key of an image is `image_id`, `img_id`, `cocoid`, `imgid`, `image`, `file_name`,
//! `filename`, `image_name`, `image_path` or `id`, the key of a caption `caption`,
//! `captions`, `text`, `comment`, `raw`, `sentence` or `sentences`; if there are several,
//! the first in these lists wins. Captions that need no unescaping are not copied.
//!
//! `kind` recognises a file, `json` and `table` read its rows, `id` compares names of
//! images, and `pair` finds each result's references.
//!
//! ```
//! use attend_metrics::captions::{File, pair, references, results};
//!
//! # fn main() -> Result<(), attend_metrics::Error> {
//! let references_json = br#"{"annotations": [{"image_id": 7, "caption": "A dog runs."}]}"#;
//! let files = [File::new("captions.json", *references_json)]; // or File::read
//! let results_file = File::new("results.csv", "image,caption\n000007.jpg,A dog.\n");
//! let pairs = pair(results(&results_file)?, references(&files, None)?)?;
//! assert_eq!(pairs.results[0].1, "A dog.");
//! assert_eq!(pairs.references, [["A dog runs."]]);
//! # Ok(())
//! # }
//! ```

mod id;
mod json;
mod kind;
mod pair;
mod table;

pub use id::Id;
pub use pair::{Pairs, pair};

use crate::Error;
use kind::Kind;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

/// A file with captions, as bytes.
pub struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    /// A file whose content is already in memory.
    pub fn new(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> File {
        File {
            path: path.into(),
            bytes: bytes.into(),
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> Result<File, Error> {
        if path.is_dir() {
            return Err(Error::malformed(path, "a folder, not a file"));
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Ok(File::new(path, bytes))
    }

    fn malformed(&self, what: impl Into<String>) -> Error {
        Error::malformed(&self.path, what)
    }
}

/// The captions of a file by image, in file order.
pub struct Captions<'a> {
    path: &'a Path,
    places: Places,
    images: Vec<Image<'a>>,
}

impl<'a> Captions<'a> {
    /// The images.
    pub fn images(&self) -> &[Image<'a>] {
        &self.images
    }

    fn malformed(&self, what: impl Into<String>) -> Error {
        Error::malformed(self.path, what)
    }
}

/// An image and its captions.
#[derive(Debug)]
pub struct Image<'a> {
    /// Its id in the file; in plain text the line number, from 1.
    pub id: Id<'a>,
    /// Its file name, if the file gives one beside the id.
    pub name: Option<Id<'a>>,
    /// Its captions.
    pub captions: Vec<Cow<'a, str>>,
    place: usize,
}

/// What the position of a row counts.
#[derive(Clone, Copy, PartialEq)]
enum Places {
    /// Lines of plain text, from 1; image n is line n.
    TextLine,
    /// Lines, from 1.
    Line,
    /// Lines, from 1, of Flickr8k's own file, which has names of images but no ids.
    FlickrLine,
    /// Entries of the list of this name, from 0.
    Entry(&'static str),
    /// Entries of an object, from 0, each an image.
    Key,
}

impl Places {
    fn name(self, place: usize) -> String {
        match self {
            Places::TextLine | Places::Line | Places::FlickrLine => format!("line {place}"),
            Places::Entry(list) => format!("{list}[{place}]"),
            Places::Key => format!("entry {place}"),
        }
    }
}

/// A row of a file: one or several captions of an image.
#[derive(Default)]
struct Row<'a> {
    id: Option<Id<'a>>,
    name: Option<Id<'a>>,
    /// The value of [`LAST_ID`].
    last_id: Option<Id<'a>>,
    split: Option<Cow<'a, str>>,
    captions: Option<Vec<Cow<'a, str>>>,
    place: usize,
}

/// Names of keys of objects and of columns of tables; the first name that is present
/// wins.
const IDS: [&str; 4] = ["image_id", "img_id", "cocoid", "imgid"];
const NAMES: [&str; 5] = ["image", "file_name", "filename", "image_name", "image_path"];
/// The image's id if no other key is; beside an `image_id` it is the caption's id.
const LAST_ID: &str = "id";
const CAPTIONS: [&str; 7] = [
    "caption",
    "captions",
    "text",
    "comment",
    "raw",
    "sentence",
    "sentences",
];
const SPLIT: &str = "split";

fn rank(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|n| n.eq_ignore_ascii_case(name))
}

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

/// The rows of a file.
struct Rows<'a> {
    rows: Vec<Row<'a>>,
    places: Places,
    /// Whether each row is a different image.
    distinct: bool,
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
