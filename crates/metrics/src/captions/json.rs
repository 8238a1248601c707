//! JSON and JSON Lines.

use super::id::Id;
use super::row::{CAPTIONS, IDS, LAST_ID, NAMES, Places, Row, Rows, SPLIT, rank};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

const EXPECTED: &str = r#"COCO's captions_*.json or results, [{"image_id": 42, "caption": "a dog"}, …], Karpathy's dataset_*.json, or an object such as {"42": "a dog"}"#;
/// Keys of an object under which lists of rows are found.
const LISTS: [&str; 4] = ["annotations", "results", "predictions", "data"];

/// The rows of a JSON document, or of several documents one after another.
pub(super) fn rows(text: &str) -> Result<Rows<'_>, String> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Document>();
    let (mut rows, mut line, mut end) = (Vec::new(), 1, 0);
    while let Some(document) = stream.next() {
        let document = document.map_err(|e| malformed(text, &e))?;
        let begin = end + text[end..].len() - text[end..].trim_start().len();
        line += text[end..begin].matches('\n').count();
        let whole = rows.is_empty() && text[stream.byte_offset()..].trim_start().is_empty();
        match document.resolve()? {
            Resolved::Rows(rows) if whole => return Ok(rows),
            Resolved::Row(row) => rows.push(Row { place: line, ..row }),
            Resolved::Rows(_) => {
                return Err(format!(
                    "line {line}: if a file holds several JSON documents, each must be an object such as {{\"image_id\": 42, \"caption\": \"a dog\"}}"
                ));
            }
        }
        end = stream.byte_offset();
        line += text[begin..end].matches('\n').count();
    }
    Ok(Rows {
        rows,
        places: Places::Line,
        distinct: false,
    })
}

fn malformed(text: &str, e: &serde_json::Error) -> String {
    let message = e.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(&*message, |(m, _)| m);
    let rest = (text.lines().nth(e.line().saturating_sub(1)))
        .and_then(|line| line.get(e.column().saturating_sub(1)..));
    let hint = match e.is_eof() {
        true => ": the file ends too early; copy or download it again",
        false if rest.is_some_and(|rest| rest.starts_with('\'')) => {
            ": this is Python's notation, not JSON; write the file with json.dump"
        }
        false => "",
    };
    let (line, column) = (e.line(), e.column());
    format!("line {line}, column {column}: {message}{hint}; expected: {EXPECTED}")
}

/// A list, or an object whose keys decide what it is.
enum Document<'a> {
    List(Vec<Row<'a>>),
    Object(Box<Object<'a>>),
}

#[derive(Default)]
struct Object<'a> {
    /// The row, if the object is one.
    row: Row<'a>,
    /// The list under the first key of [`LISTS`].
    list: Option<(&'static str, Vec<Row<'a>>)>,
    images: Option<Vec<Row<'a>>>,
    /// Captions under other keys: the keys are ids of images.
    keyed: Vec<Row<'a>>,
    /// The other keys that hold no captions.
    others: Vec<String>,
}

enum Resolved<'a> {
    Row(Row<'a>),
    Rows(Rows<'a>),
}

impl<'a> Document<'a> {
    fn resolve(self) -> Result<Resolved<'a>, String> {
        let rows = |rows, list, distinct| {
            Ok(Resolved::Rows(Rows {
                rows,
                places: list,
                distinct,
            }))
        };
        let object = match self {
            Document::List(list) => return rows(list, Places::Entry(""), false),
            Document::Object(object) => object,
        };
        let Object {
            row,
            list,
            images,
            keyed,
            others,
        } = *object;
        if let Some((name, mut list)) = list {
            if name == LISTS[0] {
                name_images(&mut list, images.unwrap_or_default());
            }
            return rows(list, Places::Entry(name), false);
        }
        if let Some(mut images) = images {
            if !images.is_empty() && images.iter().all(|image| image.captions.is_none()) {
                return Err(format!(
                    "its images have no `sentences`, and there are no `annotations` with captions; expected: {EXPECTED}"
                ));
            }
            for image in &mut images {
                image.captions.get_or_insert_default();
            }
            return rows(images, Places::Entry("images"), true);
        }
        if row.captions.is_some() || row.id.is_some() || row.name.is_some() {
            return Ok(Resolved::Row(row));
        }
        if others.is_empty() && !keyed.is_empty() {
            return rows(keyed, Places::Key, true);
        }
        if others.is_empty() {
            return Err(format!("an empty object; expected: {EXPECTED}"));
        }
        let keys = keyed.iter().flat_map(|row| &row.id).map(Id::to_string);
        let keys: Vec<String> = others
            .into_iter()
            .map(|key| format!("{key:?}"))
            .chain(keys)
            .take(5)
            .collect();
        Err(format!(
            "an object with the keys {}; expected: {EXPECTED}",
            keys.join(", ")
        ))
    }
}

/// Adds names to COCO's annotations, which have ids only: the names are in a list of images.
fn name_images<'a>(annotations: &mut [Row<'a>], images: Vec<Row<'a>>) {
    let mut names: HashMap<Id, Id> = HashMap::new();
    for Row { last_id, name, .. } in images {
        names.extend(last_id.zip(name));
    }
    for row in annotations {
        row.last_id = None; // the caption's
        let name = row.id.as_ref().and_then(|id| names.get(id));
        row.name = row.name.take().or_else(|| name.cloned());
    }
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Document<'de>, A::Error> {
        ListVisitor.visit_seq(list).map(Document::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document<'de>, A::Error> {
        let mut object = Object::default();
        let mut keys = Keys::default();
        while let Some(Text(key)) = map.next_key()? {
            if keys.take(&key, &mut map)? {
                continue;
            }
            if let Some(rank) = rank(&LISTS, &key) {
                object.list = Some((LISTS[rank], map.next_value::<List>()?.0));
            } else if key == "images" {
                object.images = Some(map.next_value::<List>()?.0);
            } else if let Some(captions) = map.next_value::<CaptionValue>()?.captions() {
                object.keyed.push(Row {
                    id: Some(Id::of_text(key)),
                    captions: Some(captions),
                    place: object.keyed.len(),
                    ..Row::default()
                });
            } else {
                object.others.push(key.into_owned());
            }
        }
        object.row = keys.row;
        Ok(Document::Object(Box::new(object)))
    }
}

/// A list of rows, numbered by position.
struct List<'a>(Vec<Row<'a>>);

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor).map(List)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<Row<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element::<Row>()? {
            let place = rows.len();
            rows.push(Row { place, ..row });
        }
        Ok(rows)
    }
}

impl<'de> Deserialize<'de> for Row<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"an object such as {"image_id": 42, "caption": "a dog"}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
        let mut keys = Keys::default();
        while let Some(Text(key)) = map.next_key()? {
            if !keys.take(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(keys.row)
    }
}

/// A row being read. If several keys mean the same, the one that comes first in our lists
/// wins, whatever their order in the file.
#[derive(Default)]
struct Keys<'a> {
    row: Row<'a>,
    /// The rank of the key that gave the row's id, name and captions.
    ranks: [Option<usize>; 3],
}

impl<'de> Keys<'de> {
    /// Reads the value of a key that matters here. Returns false, without reading it, for
    /// any other key.
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let lists: [&[&str]; 3] = [&IDS, &NAMES, &CAPTIONS];
        let known = (0..3).find_map(|list| Some((list, rank(lists[list], key)?)));
        let row = &mut self.row;
        match known {
            Some((list, rank)) if self.ranks[list].is_some_and(|before| before <= rank) => {
                map.next_value::<IgnoredAny>()?;
            }
            Some((list, rank)) => {
                let present = match list {
                    0 => set(&mut row.id, map.next_value()?),
                    1 => set(&mut row.name, map.next_value()?),
                    _ => {
                        let value = map.next_value::<Option<CaptionValue>>()?;
                        let strict = |value: CaptionValue<'de>| {
                            value.captions().ok_or_else(|| {
                                A::Error::custom(format!(
                                    "{key:?} holds neither a caption nor a list of captions"
                                ))
                            })
                        };
                        set(&mut row.captions, value.map(strict).transpose()?)
                    }
                };
                if present {
                    self.ranks[list] = Some(rank);
                }
            }
            None if key == LAST_ID => row.last_id = map.next_value()?,
            None if key == SPLIT => {
                row.split = map.next_value::<Option<Text>>()?.map(|text| text.0)
            }
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// Replaces the old value if there is a new one; `null` is none. Returns whether there is.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let present = value.is_some();
    *place = value.or_else(|| place.take());
    present
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The value of a key for captions.
#[derive(Deserialize)]
#[serde(untagged)]
enum CaptionValue<'a> {
    #[serde(borrow)]
    One(Cow<'a, str>),
    #[serde(borrow)]
    Many(Vec<Sentence<'a>>),
    #[serde(borrow)]
    Object(Row<'a>),
    Other(IgnoredAny),
}

/// `"a dog"`, or Karpathy's `{"raw": "a dog", …}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sentence<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    #[serde(borrow)]
    Object(Row<'a>),
}

impl<'a> CaptionValue<'a> {
    fn captions(self) -> Option<Vec<Cow<'a, str>>> {
        match self {
            CaptionValue::One(text) => Some(vec![text]),
            CaptionValue::Object(row) => row.captions,
            CaptionValue::Many(sentences) => sentences.into_iter().map(Sentence::text).collect(),
            CaptionValue::Other(_) => None,
        }
    }
}

impl<'a> Sentence<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Sentence::Text(text) => Some(text),
            Sentence::Object(row) => row.captions?.into_iter().next(),
        }
    }
}
