//! Explains what an unexpected annotation file is, and what to do.

use super::open::open;
use crate::sniff;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

/// Explains what a JSON file is instead of `what`, if it is a common mistake.
pub fn json(path: &Path, what: &str) -> Option<String> {
    let mut begin = Vec::new();
    open(path, "")
        .ok()?
        .take(sniff::BEGIN)
        .read_to_end(&mut begin)
        .ok()?;
    if let Some(kind) = no_text(&begin) {
        return Some(kind);
    }
    let reader = BufReader::with_capacity(1 << 20, open(path, "").ok()?);
    let mut values = serde_json::Deserializer::from_reader(reader).into_iter::<Outline>();
    let first = values.next()?.ok()?;
    if values.next().is_some_and(|second| second.is_ok()) {
        return Some("several JSON values (JSON Lines?); put them into one".to_owned());
    }
    let (kind, way_out) = first.kind()?;
    (!what.starts_with(kind)).then(|| format!("{kind}{way_out}"))
}

/// Explains what a file is that is not UTF-8, by its first bytes, and what to do.
pub fn no_text(begin: &[u8]) -> Option<String> {
    match begin {
        // Latin letters in UTF-16: every second byte is zero.
        [0, other, ..] | [other, 0, ..] if *other != 0 => {
            Some("UTF-16 text; save it as UTF-8".to_owned())
        }
        _ => sniff::kind(begin),
    }
}

/// The path in a JSON file of the value that does not fit `T`: `images[3].file_name`.
pub fn key<T: DeserializeOwned>(path: &Path) -> Option<String> {
    let reader = BufReader::with_capacity(1 << 20, open(path, "").ok()?);
    let mut json = serde_json::Deserializer::from_reader(reader);
    let error = serde_path_to_error::deserialize::<_, T>(&mut json).err()?;
    let path = error.path().to_string();
    (path != ".").then_some(path)
}

/// The keys of a JSON value; for a list, those of its first element.
enum Outline {
    Map(Vec<(String, Outline)>),
    List(Option<Box<Outline>>),
    Scalar,
}

impl Outline {
    /// Which one of the easily confused files this is, in the words of the reader that
    /// expects it, and what to do with it.
    fn kind(&self) -> Option<(&'static str, &'static str)> {
        let of_images = |key| self.get("images")?.first()?.get(key);
        let of_annotations = |key| self.get("annotations")?.first()?.get(key);
        if let Outline::List(_) = self {
            Some(match self.first().and_then(|first| first.get("caption")) {
                Some(_) => (
                    "a list",
                    " of captions, as COCO's results are, without images",
                ),
                None => ("a list", ", not an object with keys"),
            })
        } else if of_images("sentences").is_some() {
            Some((
                "Karpathy's",
                " format: dataset.format = \"karpathy\" reads it",
            ))
        } else if of_annotations("bbox").is_some() {
            Some((
                "COCO's instances",
                ": dataset.objects reads them; captions are in captions_*.json",
            ))
        } else if of_annotations("caption").is_some() {
            Some((
                "COCO's captions",
                ": dataset.format = \"coco\" reads them; boxes are in instances_*.json",
            ))
        } else if self.get("images").is_some() && self.get("annotations").is_none() {
            of_images("file_name")?;
            Some((
                "COCO's images",
                " without annotations, as those of its test splits",
            ))
        } else {
            None
        }
    }

    fn get(&self, name: &str) -> Option<&Outline> {
        let Outline::Map(keys) = self else {
            return None;
        };
        let mut keys = keys.iter();
        keys.find_map(|(key, value)| (key == name).then_some(value))
    }

    fn first(&self) -> Option<&Outline> {
        match self {
            Outline::List(first) => first.as_deref(),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Outline, D::Error> {
        deserializer.deserialize_any(OutlineVisitor)
    }
}

struct OutlineVisitor;

/// Scalars of all types.
macro_rules! scalars {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Outline, E> {
            Ok(Outline::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for OutlineVisitor {
    type Value = Outline;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Outline, E> {
        Ok(Outline::Scalar)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outline, A::Error> {
        let mut keys = Vec::new();
        while let Some(entry) = map.next_entry()? {
            keys.push(entry);
        }
        Ok(Outline::Map(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outline, A::Error> {
        let first = list.next_element()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outline::List(first.map(Box::new)))
    }
}
