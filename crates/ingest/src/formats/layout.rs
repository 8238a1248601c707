//! The interface of all layouts.

use crate::annotations::Annotations;
use crate::config::Section;
use attend_program::Result;
use std::path::Path;

/// A layout of data sets.
pub struct Layout {
    /// Its name in `dataset.format`.
    pub name: &'static str,
    /// What its folder must contain, for messages.
    pub holds: &'static str,
    /// Reads the annotations below the folder `dataset.root`. Errors are usage errors that
    /// name the key, or input errors that name the file and the place in it.
    pub read: fn(&Path, &Section) -> Result<Annotations>,
}
