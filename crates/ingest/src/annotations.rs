//! The common form of all layouts' annotations.

use crate::archive::Archive;
use crate::config::Restval;
use crate::ids::Id;
use crate::reference::{Reference, Refusal};
use attend_artifact::Input;
use std::collections::HashMap;
use std::sync::Arc;

/// Contents of a data set's annotation files, in their order, unchecked.
#[derive(Debug, Default)]
pub struct Annotations {
    /// The images.
    pub images: Vec<ListedImage>,
    /// The captions.
    pub captions: Vec<ListedCaption>,
    /// The files that were read, by their role in the manifest, such as `captions_train`.
    pub inputs: Vec<(String, Input)>,
    /// The folders of the photographs under the root, which must exist. They come from the
    /// config or the layout and are trusted. Empty is the root itself.
    pub folders: Vec<String>,
    /// Whether captions are nested in their image instead of naming it by id.
    pub nested: bool,
    /// What to do with a split called `restval`.
    pub restval: Restval,
    /// Images that can't be used according to their annotations, by index, and why.
    pub refused: HashMap<usize, Refusal>,
    /// Archives among [`Annotations::folders`] that are open already.
    pub archives: Vec<Arc<Archive>>,
}

impl Annotations {
    /// The index of a folder in [`Annotations::folders`], to which it is added if new.
    pub fn folder(&mut self, folder: String) -> usize {
        let known = self.folders.iter().position(|known| *known == folder);
        known.unwrap_or_else(|| {
            self.folders.push(folder);
            self.folders.len() - 1
        })
    }
}

/// An image as an annotation file lists it.
#[derive(Clone, Debug)]
pub struct ListedImage {
    /// Identity in the source.
    pub image_id: Id,
    /// Its split, as named in the source; `None` if no split lists it.
    pub split: Option<String>,
    /// Its photograph.
    pub photograph: Reference,
}

/// A caption as an annotation file lists it.
#[derive(Clone, Debug)]
pub struct ListedCaption {
    /// Identity in the source.
    pub caption_id: Id,
    /// The id of the image that it describes, according to the file.
    pub image_id: Id,
    /// That image, by its index among the listed ones; `None` if it is not listed.
    pub image: Option<usize>,
    /// The text.
    pub caption: String,
}
