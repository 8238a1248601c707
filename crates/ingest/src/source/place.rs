//! One folder of photographs, or the archive or column of bytes in its place.

use super::loose::{self, names_in, similar};
use crate::archive::Archive;
use crate::parquet_file::Photographs;
use crate::reference::{Refusal, State, refuse};
use attend_artifact::ledger::Reason;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The place of one folder's files: each kind returns bytes and states of files.
pub(super) enum Place {
    Folder {
        /// Free of links.
        path: PathBuf,
        /// The folder that links must stay in, if any.
        root: Option<PathBuf>,
        /// The names in it by their [`crate::name::folded`] form, for messages.
        names: OnceLock<HashMap<String, String>>,
    },
    Archive {
        archive: Arc<Archive>,
        /// The names that the folder may have in the archive.
        prefixes: Vec<String>,
    },
    /// A column of bytes, in which names are numbers of rows.
    Rows(Arc<Photographs>),
    /// There is no such folder: its photographs are left out.
    Nowhere(Refusal),
    /// The folder is missing although the config names it, or its archive is damaged: no
    /// shard with its photographs can be made.
    Broken(String),
}

impl Place {
    /// Why no shard with its photographs can be made, if so.
    pub(super) fn broken(&self) -> Option<&str> {
        match self {
            Place::Broken(why) => Some(why),
            _ => None,
        }
    }

    /// The bytes of a file in it, if there are no more than `limit`.
    ///
    /// # Errors
    /// The reason why the file can't be read.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Refusal> {
        match self {
            Place::Folder { path, root, names } => {
                let read = loose::read(&path.join(name), root.as_deref(), limit);
                read.map_err(|refusal| match refusal.reason {
                    Reason::Missing => similar(refusal, name, names.get_or_init(|| names_in(path))),
                    _ => refusal,
                })
            }
            Place::Archive { archive, prefixes } => archive.read(&members(prefixes, name), limit),
            Place::Rows(photographs) => match name.parse() {
                Ok(row) => photographs.read(row, limit),
                Err(_) => Err(loose::missing()),
            },
            Place::Nowhere(refusal) => Err(refusal.clone()),
            Place::Broken(why) => Err(refuse(Reason::Unreadable, why)),
        }
    }

    /// The state of a file in it.
    pub(super) fn state(&self, name: &str) -> Option<State> {
        match self {
            Place::Folder { path, root, .. } => loose::state(&path.join(name), root.as_deref()),
            Place::Archive { archive, prefixes } => archive.state(&members(prefixes, name)),
            Place::Rows(photographs) => Some(photographs.state()),
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
