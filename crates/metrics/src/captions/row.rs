//! The rows of a file, whatever its kind, and what their parts are called.

use super::id::Id;
use std::borrow::Cow;

/// What the position of a row counts.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Places {
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
    pub(super) fn name(self, place: usize) -> String {
        match self {
            Places::TextLine | Places::Line | Places::FlickrLine => format!("line {place}"),
            Places::Entry(list) => format!("{list}[{place}]"),
            Places::Key => format!("entry {place}"),
        }
    }
}

/// A row of a file: one or several captions of an image.
#[derive(Default)]
pub(super) struct Row<'a> {
    pub(super) id: Option<Id<'a>>,
    pub(super) name: Option<Id<'a>>,
    /// The value of [`LAST_ID`].
    pub(super) last_id: Option<Id<'a>>,
    pub(super) split: Option<Cow<'a, str>>,
    pub(super) captions: Option<Vec<Cow<'a, str>>>,
    pub(super) place: usize,
}

/// Names of keys of objects and of columns of tables; the first name that is present
/// wins.
pub(super) const IDS: [&str; 4] = ["image_id", "img_id", "cocoid", "imgid"];
pub(super) const NAMES: [&str; 5] = ["image", "file_name", "filename", "image_name", "image_path"];
/// The image's id if no other key is; beside an `image_id` it is the caption's id.
pub(super) const LAST_ID: &str = "id";
pub(super) const CAPTIONS: [&str; 7] = [
    "caption",
    "captions",
    "text",
    "comment",
    "raw",
    "sentence",
    "sentences",
];
pub(super) const SPLIT: &str = "split";

pub(super) fn rank(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|n| n.eq_ignore_ascii_case(name))
}

/// The rows of a file.
pub(super) struct Rows<'a> {
    pub(super) rows: Vec<Row<'a>>,
    pub(super) places: Places,
    /// Whether each row is a different image.
    pub(super) distinct: bool,
}
