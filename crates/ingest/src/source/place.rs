//! One folder of photographs, or what stands in its place.

use super::loose::{self, names_in, similar};
use crate::archive::Archive;
use crate::reference::{MAX_BYTES, Refusal, State, refuse};
use attend_artifact::ledger::Reason;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Where the files of one folder are.
pub(super) enum Place {
    Folder {
        /// Without links.
        path: PathBuf,
        /// What links may not lead out of, if anything.
        root: Option<PathBuf>,
        /// The names in it, [`crate::name::folded`], for messages.
        names: OnceLock<HashMap<String, String>>,
    },
    Archive {
        archive: Arc<Archive>,
        /// The folder in it, in all ways that it may be written.
        prefixes: Vec<String>,
    },
    /// Its photographs are left out.
    Nowhere(Refusal),
    /// None of its shards can be made.
    Broken(String),
}

impl Place {
    /// Why none of its shards can be made, if so.
    pub(super) fn broken(&self) -> Option<&str> {
        match self {
            Place::Broken(why) => Some(why),
            _ => None,
        }
    }

    /// The bytes of a file in it.
    ///
    /// # Errors
    /// The reason why there are none.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        match self {
            Place::Folder { path, root, names } => {
                let read = loose::read(&path.join(name), root.as_deref());
                read.map_err(|refusal| match refusal.reason {
                    Reason::Missing => similar(refusal, name, names.get_or_init(|| names_in(path))),
                    _ => refusal,
                })
            }
            Place::Archive { archive, prefixes } => {
                archive.read(&members(prefixes, name), MAX_BYTES)
            }
            Place::Nowhere(refusal) => Err(refusal.clone()),
            Place::Broken(why) => Err(refuse(Reason::Unreadable, why)),
        }
    }

    /// The state of a file in it.
    pub(super) fn state(&self, name: &str) -> Option<State> {
        match self {
            Place::Folder { path, root, .. } => loose::state(&path.join(name), root.as_deref()),
            Place::Archive { archive, prefixes } => archive.state(&members(prefixes, name)),
            Place::Nowhere(_) | Place::Broken(_) => None,
        }
    }
}

/// The names that a file may have in an archive.
fn members(prefixes: &[String], name: &str) -> Vec<String> {
    let prefixes = prefixes.iter();
    prefixes
        .map(|prefix| match prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        })
        .collect()
}
