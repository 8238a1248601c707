//! Where the photographs lie: in folders, or in archives that stand in their
//! places, as COCO ships them: `train2014.zip` or `train2014.tar` for `train2014/`,
//! with its members under the folder's name, at the top, or under the one folder that
//! all of them lie in. An archive of another name stands for a folder that it holds:
//! `Flickr8k_Dataset.zip` for `Flicker8k_Dataset/`.
//!
//! File names come from the annotations and are not trusted: they lead to regular
//! files below the folder that the config names (`dataset.root`, in it
//! `dataset.image_dir` and COCO's own folders) and nowhere else, neither by
//! themselves nor by way of a link, unless `dataset.follow_links` says so. That folder
//! itself may be a link, or an archive, or a folder in one.
//!
//! - `locate`: finds folders and archives; `place`: reads what is in one.
//! - `loose`: photographs that are files of their own.

mod locate;
mod loose;
mod place;

pub use locate::is_there;

use crate::reference::{Reference, Refusal, State};
use attend_artifact::text::escaped;
use attend_artifact::{Error, Result};
use locate::Finder;
use place::Place;
use std::collections::HashMap;
use std::path::Path;

/// Where the photographs are. May be used by several threads.
pub struct Source {
    /// Of each trusted folder, the folders below it that the photographs' names lead to.
    folders: Vec<HashMap<String, Place>>,
}

impl Source {
    /// Looks where `photographs` are: below `folders` of `root`, which are trusted and
    /// must be there. `follow_links` is the config's.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Source::check`] reports what can't be found.
    pub fn open<'a>(
        root: &Path,
        folders: &[String],
        follow_links: bool,
        photographs: impl IntoIterator<Item = &'a Reference>,
    ) -> Result<Source> {
        let mut finder = Finder::new(follow_links);
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

    /// Refuses if the folder of one of `photographs` is not there though the config
    /// names it, or its archive is damaged.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn check<'a>(&self, photographs: impl IntoIterator<Item = &'a Reference>) -> Result<()> {
        let mut places = photographs.into_iter().filter_map(|it| self.place(it));
        match places.find_map(|(place, _)| place.broken()) {
            Some(why) => Err(Error::input(escaped(why))),
            None => Ok(()),
        }
    }

    /// The bytes of a photograph.
    ///
    /// # Errors
    /// The reason why there are none.
    pub fn read(&self, photograph: &Reference) -> Result<Vec<u8>, Refusal> {
        match self.place(photograph) {
            Some((place, name)) => place.read(name),
            None => Err(loose::missing()),
        }
    }

    /// The state of a photograph's file: size and time, or what its archive says.
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
