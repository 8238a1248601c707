//! The ids of images in files.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// An image's id: a number, even if the file has it as text (`"42"`), or any other
/// text, such as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id<'a> {
    /// A number.
    Number(i64),
    /// Any text that is not a number as printed: `000042` is such a text.
    Name(Cow<'a, str>),
}

impl<'a> Id<'a> {
    pub(super) fn of_text(text: impl Into<Cow<'a, str>>) -> Id<'a> {
        let text = text.into();
        match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Id::Number(number),
            _ => Id::Name(text),
        }
    }

    /// The same id, owning its text.
    pub fn into_owned(self) -> Id<'static> {
        match self {
            Id::Number(number) => Id::Number(number),
            Id::Name(name) => Id::Name(name.into_owned().into()),
        }
    }

    /// The id as text, unchanged.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Id::Number(number) => number.to_string().into(),
            Id::Name(name) => name.as_ref().into(),
        }
    }

    /// The id with its name reduced to a part: a name that becomes a number is one.
    pub(super) fn reduced(&self, part: fn(&str) -> &str) -> Id<'_> {
        match self {
            Id::Number(number) => Id::Number(*number),
            Id::Name(name) => Id::of_text(part(name)),
        }
    }
}

/// The name, unchanged.
pub(super) fn whole(name: &str) -> &str {
    name
}

/// The name without folders.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The name without folders and extension.
pub(super) fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && is_image(extension) => stem,
        _ => name,
    }
}

/// The number in a name such as `000042.jpg` or COCO's
/// `COCO_val2014_000000000042.jpg`; other names unchanged.
pub(super) fn number(path: &str) -> &str {
    let stem = stem(path);
    let coco = stem
        .strip_prefix("COCO_")
        .and_then(|rest| rest.split_once('_'));
    let digits = coco.map_or(stem, |(_, digits)| digits);
    match digits.trim_start_matches('0') {
        _ if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => path,
        "" => "0",
        number => number,
    }
}

fn is_image(extension: &str) -> bool {
    let known = [
        "jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff", "heic", "avif",
    ];
    known
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// The file name of a photograph, without Flickr8k's caption number (`42.jpg#0`);
/// `None` if `text` is not such a name.
pub(super) fn photograph(text: &str) -> Option<&str> {
    let name = match text.rsplit_once('#') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => text,
    };
    (stem(name) != file_name(name)).then_some(name)
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Id::Number(number) => write!(f, "{number}"),
            Id::Name(name) => write!(f, "{name:?}"),
        }
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Id::Number(number) => serializer.serialize_i64(*number),
            Id::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Id<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an image's id, a whole number or a text")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Id<'de>, E> {
        Ok(Id::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id<'de>, E> {
        Ok(Id::of_text(number.to_string()))
    }

    /// `42.0`: pandas writes ids so if their column has gaps.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Id<'de>, E> {
        match number.fract() == 0.0 && number.abs() < 2f64.powi(53) {
            true => Ok(Id::Number(number as i64)),
            false => Err(E::invalid_value(de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Id<'de>, E> {
        Ok(Id::of_text(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<'de>, E> {
        Ok(Id::of_text(text.to_owned()))
    }
}
