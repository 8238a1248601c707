//! The layouts of data sets: each is a file of this folder and an entry of [`LAYOUTS`].
//!
//! A layout reads a data set's annotation files into
//! [`Annotations`](crate::annotations::Annotations): images and captions in the files'
//! order, the files' digests, and a [reference](crate::reference) to each photograph. It
//! does not judge them: [`crate::select`] decides what can be used, [`crate::source`]
//! finds the photographs.
//!
//! - [`coco`], [`karpathy`], [`flickr8k`], [`folder`], [`table`], [`webdataset`]: the
//!   layouts; [`layout`]: their interface; [`look`]: names and first lines, to recognise a
//!   data set.
//! - [`samples`]: photographs with texts of the same name; [`splits`]: names that say one.
//! - [`open`], [`read`]: annotation files as JSON and text, with their digests;
//!   `diagnose`: explains what an unexpected file is.

pub mod coco;
mod diagnose;
pub mod flickr8k;
pub mod folder;
pub mod karpathy;
pub mod layout;
pub mod look;
pub mod open;
pub mod read;
pub mod samples;
pub mod splits;
pub mod table;
pub mod webdataset;

use attend_program::{Error, Result};
use layout::Layout;

/// All layouts.
pub const LAYOUTS: [Layout; 6] = [
    coco::LAYOUT,
    flickr8k::LAYOUT,
    folder::LAYOUT,
    karpathy::LAYOUT,
    table::LAYOUT,
    webdataset::LAYOUT,
];

/// The layout of this name.
///
/// # Errors
/// [`Error::Usage`] with the known names.
pub fn find(format: &str) -> Result<Layout> {
    let layout = LAYOUTS.into_iter().find(|layout| layout.name == format);
    layout.ok_or_else(|| {
        Error::usage(format!(
            "dataset.format = {format:?}: expected {} (attend-hdf5 imports the PyTorch tutorial's files)",
            LAYOUTS.map(|layout| layout.name).join(", ")
        ))
    })
}
