//! The interface of all layouts.

use crate::annotations::Annotations;
use crate::config::Section;
use attend_program::Result;
use std::path::{Path, PathBuf};

/// A layout of data sets.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Its name in `dataset.format`.
    pub name: &'static str,
    /// What its folder must contain, for messages.
    pub holds: &'static str,
    /// Finds the ways to read a folder, or a file, with this layout. Looks at names and at
    /// the first lines of files only, and finds nothing in what is damaged or not there.
    /// Errors are [`attend_program::Error::Interrupted`] only.
    pub look: fn(&Path) -> Result<Vec<Reading>>,
    /// Reads the annotations below the folder `dataset.root`. Errors are usage errors that
    /// name the key, or input errors that name the file and the place in it.
    pub read: fn(&Path, &Section) -> Result<Annotations>,
}

/// A way to read a folder or file with a layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What the data set is, for people: `COCO's captions of 2014`.
    pub what: String,
    /// `dataset.root`
    pub root: PathBuf,
    /// The other keys of `[dataset]` that have to be set, without `format` and, for layouts
    /// whose photographs may be in any folder, without `image_dir`.
    pub settings: Vec<(&'static str, toml::Value)>,
}
