//! The captions of a file, by image.

use super::id::Id;
use super::row::Places;
use crate::Error;
use std::borrow::Cow;
use std::path::Path;

/// The captions of a file by image, in file order.
pub struct Captions<'a> {
    pub(super) path: &'a Path,
    pub(super) places: Places,
    pub(super) images: Vec<Image<'a>>,
}

impl<'a> Captions<'a> {
    /// The images.
    pub fn images(&self) -> &[Image<'a>] {
        &self.images
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> Error {
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
    pub(super) place: usize,
}
