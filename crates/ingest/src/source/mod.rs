//! Finds photographs and reads them, in folders, or in archives and columns of bytes in
//! place of a folder.
//!
//! COCO ships `train2014.zip`; it stands for `train2014/` and may have its members under
//! that name, at the top, or under the one folder that contains all of them. An archive of
//! another name stands for a folder in it: `Flickr8k_Dataset.zip` for
//! `Flicker8k_Dataset/`.
//!
//! File names come from the annotations and are not trusted. They lead to regular files
//! below the folder that the config names (`dataset.root`, in it `dataset.image_dir` and
//! COCO's own folders), and nowhere else: `..` never leads out of it, a link only with
//! `dataset.follow_links`. The named folder itself may be a link, an archive, or a folder
//! in one.
//!
//! - `locate`: finds folders and archives; `place`: reads what is in one.
//! - `loose`: photographs that are files in a folder.

mod locate;
mod loose;
mod place;

pub use locate::is_there;

use crate::archive::Archive;
use crate::reference::{MAX_BYTES, Reference, Refusal, State};
use attend_program::text::escaped;
use attend_program::{Error, Result};
use locate::Finder;
use place::Place;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The photographs' folders and archives. Several threads may share it.
pub struct Source {
    /// For each trusted folder, the folders below it in which photographs are.
    folders: Vec<HashMap<String, Place>>,
}

impl Source {
    /// Finds the places of `photographs`. Their `folders` below `root` are trusted and must
    /// exist. `archives` are those of them that are open already, with names exactly as in
    /// the archive. `follow_links` is `dataset.follow_links`.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Source::check`] reports what can't be found.
    pub fn open<'a>(
        root: &Path,
        folders: &[String],
        archives: &[Arc<Archive>],
        follow_links: bool,
        photographs: impl IntoIterator<Item = &'a Reference>,
    ) -> Result<Source> {
        let mut finder = Finder::new(follow_links, archives);
        let mut places: Vec<HashMap<String, Place>> =
            folders.iter().map(|_| HashMap::new()).collect();
        for photograph in photographs {
            let (below, _) = split(&photograph.name);
            let places = &mut places[photograph.folder];
            if !places.contains_key(below) {
                let folder = match folders[photograph.folder].as_str() {
                    "" => root.to_owned(),
                    folder => root.join(folder),
                };
                places.insert(below.to_owned(), finder.find(&folder, below)?);
            }
        }
        Ok(Source { folders: places })
    }

    /// Refuses if the folder of one of `photographs` is missing although the config names
    /// it, or if its archive is damaged.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn check<'a>(&self, photographs: impl IntoIterator<Item = &'a Reference>) -> Result<()> {
        let photographs = photographs.into_iter();
        let mut places = photographs.filter_map(|photograph| self.place(photograph));
        match places.find_map(|(place, _)| place.broken()) {
            Some(why) => Err(Error::input(escaped(why))),
            None => Ok(()),
        }
    }

    /// The bytes of a photograph.
    ///
    /// # Errors
    /// The reason why the photograph can't be read.
    pub fn read(&self, photograph: &Reference) -> Result<Vec<u8>, Refusal> {
        self.read_up_to(photograph, MAX_BYTES)
    }

    /// The bytes of any file, if there are no more than `limit`.
    ///
    /// # Errors
    /// The reason why the file can't be read.
    pub fn read_up_to(&self, file: &Reference, limit: u64) -> Result<Vec<u8>, Refusal> {
        match self.place(file) {
            Some((place, name)) => place.read(name, limit),
            None => Err(loose::missing()),
        }
    }

    /// The state of a photograph's file: size and time, or the corresponding entries of its
    /// archive.
    pub fn state(&self, photograph: &Reference) -> State {
        let state = self.place(photograph);
        let state = state.and_then(|(place, name)| place.state(name));
        state.unwrap_or([-1; 3])
    }

    /// The place of a photograph that [`Source::open`] was given, and its name there.
    fn place<'a>(&self, photograph: &'a Reference) -> Option<(&Place, &'a str)> {
        let (below, name) = split(&photograph.name);
        let place = self.folders.get(photograph.folder)?.get(below)?;
        Some((place, name))
    }
}

/// Folder and last part of a name.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}
