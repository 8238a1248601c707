//! From rows to images and captions: rows of one image become one.

use super::columns::Chosen;
use super::interface::Row;
use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::config::Section;
use crate::formats::splits;
use crate::ids::Id;
use crate::reference::{Reference, Refusal, refuse};
use attend_artifact::ledger::Reason;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Keys of captions that are objects, as in lists of Karpathy's sentences.
const CAPTION: [&str; 5] = ["raw", "caption", "text", "sentence", "value"];

/// Maximum number of splits.
const SPLITS: usize = 100;

/// A row, read but not yet assigned to its image.
pub struct Entry {
    /// The image's name.
    pub name: String,
    split: Option<String>,
    id: Id,
    /// Ids and texts.
    captions: Vec<(Id, String)>,
}

impl Entry {
    /// Reads the cells. `split` is that of the whole table, if it has one.
    ///
    /// # Errors
    /// The cell that is wrong.
    pub fn read(
        row: Row,
        chosen: &Chosen,
        split: Option<&str>,
        section: &Section,
    ) -> Result<Entry, String> {
        let name = match row.image {
            Value::Object(image) => image.get("path").cloned().unwrap_or_default(),
            image => image,
        };
        let name = text(&name).map_err(|why| format!("image: {why}"))?;
        let name = name
            .filter(|name| !name.trim().is_empty())
            .ok_or("image: empty")?;
        let split = match chosen.split {
            Some(_) => text(&row.split).map_err(|why| format!("split: {why}"))?,
            None => split.map(str::to_owned),
        };
        let split = split
            .map(|split| split.trim().to_owned())
            .filter(|split| !split.is_empty());
        let id = serde_json::from_value(row.id).map_err(|e| format!("id: {e}"))?;
        let mut captions = Vec::new();
        for cell in row.captions {
            captions.extend(texts(cell).map_err(|why| format!("caption: {why}"))?);
        }
        let ids = ids(row.caption_ids, captions.len());
        Ok(Entry {
            name,
            split: split.map(|split| own_name(split, section)),
            id,
            captions: ids.into_iter().zip(captions).collect(),
        })
    }
}

/// The split's usual name, unless `dataset.splits` has one for it. `test1` and `test2` are
/// two splits.
fn own_name(split: String, section: &Section) -> String {
    let renamed = section.splits.renamed(&split).is_some();
    let numbered = split.ends_with(|c: char| c.is_ascii_digit());
    let usual = splits::of_name(&split).filter(|_| !renamed && !numbered);
    usual.map_or(split, str::to_owned)
}

/// The text of a cell; `None` if it is empty.
fn text(cell: &Value) -> Result<Option<String>, &'static str> {
    Ok(match cell {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) => return Err("true or false instead of text"),
        Value::Array(_) => return Err("a list instead of text"),
        Value::Object(_) => return Err("bytes or an object instead of text"),
    })
}

/// The captions of a cell: one, a list, or a list as text.
fn texts(cell: Value) -> Result<Vec<String>, String> {
    match cell {
        Value::Array(list) => {
            let one = |cell: &Value| match cell {
                Value::Object(keys) => CAPTION
                    .iter()
                    .find_map(|key| keys.get(*key))
                    .map_or(Err("an object without a caption"), text),
                cell => text(cell),
            };
            let list: Result<Vec<_>, _> = list.iter().map(one).collect();
            Ok(list?.into_iter().map(Option::unwrap_or_default).collect())
        }
        Value::String(text) => match super::literal::list(&text) {
            Some(list) => Ok(list?),
            None => Ok(vec![text]),
        },
        other => Ok(text(&other)?.into_iter().collect()),
    }
}

/// The ids of `count` captions.
fn ids(cell: Value, count: usize) -> Vec<Id> {
    let cell = match cell {
        Value::String(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str(&text).unwrap_or_default()
        }
        cell => cell,
    };
    let list = match cell {
        Value::Array(list) => list,
        one => vec![one],
    };
    let ids: Vec<Id> = list
        .into_iter()
        .map(|id| serde_json::from_value(id).unwrap_or_default())
        .collect();
    if ids.len() == count {
        ids
    } else {
        vec![Id::None; count]
    }
}

/// The images and captions of all tables.
#[derive(Default)]
pub struct Listing {
    all: Annotations,
    /// The index of each image.
    images: HashMap<(Reference, Option<String>, Id), usize>,
    /// For each image, the ids in its rows, where they may be those of captions.
    unsure: Vec<(usize, Id, Range<usize>)>,
}

impl Listing {
    /// What the tables list. `folders` are those of the references.
    pub fn begin(annotations: Annotations) -> Listing {
        Listing {
            all: annotations,
            ..Listing::default()
        }
    }

    /// The folder's index.
    pub fn folder(&mut self, folder: String) -> usize {
        self.all.folder(folder)
    }

    /// Adds the digest of a table.
    pub fn input(&mut self, input: attend_artifact::Input) {
        let role = match self.all.inputs.len() {
            0 => "annotations".to_owned(),
            number => format!("annotations_{number}"),
        };
        self.all.inputs.push((role, input));
    }

    /// Adds a row that can't be read, at a place such as `captions.csv, line 7`.
    pub fn reject(&mut self, place: &str, why: &str) {
        let refusal = refuse(Reason::BadRow, why);
        self.all.refused.insert(self.all.images.len(), refusal);
        let folder = self.folder(String::new());
        let name = place.to_owned();
        self.all.images.push(ListedImage {
            image_id: Id::None,
            split: None,
            photograph: Reference { folder, name },
        });
    }

    /// Adds a row whose photograph is `name` in `folder`.
    pub fn add(&mut self, folder: usize, entry: Entry, chosen: &Chosen) {
        let photograph = Reference {
            folder,
            name: entry.name,
        };
        let own = match chosen.id_of_any {
            true => Id::None,
            false => entry.id.clone(),
        };
        let key = (photograph.clone(), entry.split.clone(), own.clone());
        let index = *self.images.entry(key).or_insert_with(|| {
            self.all.images.push(ListedImage {
                image_id: own,
                split: entry.split,
                photograph,
            });
            self.all.images.len() - 1
        });
        let begin = self.all.captions.len();
        self.all
            .captions
            .extend(
                entry
                    .captions
                    .into_iter()
                    .map(|(caption_id, caption)| ListedCaption {
                        caption_id,
                        image_id: Id::None,
                        image: Some(index),
                        caption,
                    }),
            );
        if chosen.id_of_any && chosen.id.is_some() {
            self.unsure
                .push((index, entry.id, begin..self.all.captions.len()));
        }
    }

    /// The annotations of all tables. Where there are no ids, an image's is the number of
    /// its photograph, a caption's its own number, from 0 in the tables' order.
    ///
    /// # Errors
    /// If no row can be read, or there are too many splits.
    pub fn end(mut self) -> Result<Annotations, String> {
        if let Some(Refusal { detail, .. }) = self.all.refused.get(&0)
            && self.all.refused.len() == self.all.images.len()
        {
            let first = &self.all.images[0].photograph.name;
            return Err(format!("no row can be read; {first}: {detail}"));
        }
        let splits: HashSet<&str> = self
            .all
            .images
            .iter()
            .filter_map(|image| image.split.as_deref())
            .collect();
        if splits.len() > SPLITS {
            return Err(format!(
                "{} splits, more than {SPLITS}: this column holds something else; choose another: dataset.columns = {{ split = \"…\" }}",
                splits.len()
            ));
        }
        let mut ids: HashMap<usize, &Id> = HashMap::new();
        let of_images = self
            .unsure
            .iter()
            .all(|(image, id, _)| *ids.entry(*image).or_insert(id) == id);
        for (image, id, captions) in std::mem::take(&mut self.unsure) {
            match of_images {
                true => self.all.images[image].image_id = id,
                false if captions.len() == 1 => self.all.captions[captions.start].caption_id = id,
                false => {}
            }
        }
        let Annotations {
            images,
            captions,
            refused,
            ..
        } = &mut self.all;
        if images.iter().all(|image| image.image_id == Id::None) {
            let mut numbers: HashMap<Reference, i64> = HashMap::new();
            let read = (0..).zip(images.iter_mut());
            for (_, image) in read.filter(|(index, _)| !refused.contains_key(index)) {
                let next = numbers.len() as i64;
                let number = *numbers.entry(image.photograph.clone()).or_insert(next);
                image.image_id = Id::Number(number);
            }
        }
        let numbered = captions
            .iter()
            .any(|caption| caption.caption_id != Id::None);
        for (number, caption) in (0..).zip(captions) {
            if !numbered {
                caption.caption_id = Id::Number(number);
            }
            let image = caption.image.and_then(|image| images.get(image));
            caption.image_id = image.map_or(Id::None, |image| image.image_id.clone());
        }
        Ok(self.all)
    }
}
