//! The digests that show that a checkpoint is whole, wherever it was copied.
//!
//! Besides the card, a checkpoint's `model.json` has a key `blake3`: the BLAKE3
//! of each other file of the folder, by name, and under `model.json` that of its own
//! JSON without this key, compact and with sorted keys. It is written last.

use super::files::{CARD, CHECKPOINTS};
use crate::manifest::short;
use crate::{Manifest, digest_file};
use attend_program::{At, Error, Result, check_interrupt};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(super) const SEAL: &str = "blake3";

/// BLAKE3 by name of file.
type Digests = BTreeMap<String, String>;

/// Puts the digests of all files of a checkpoint's folder into its `model.json`.
/// `known` are digests that need not be computed.
///
/// # Errors
/// [`Error::Internal`] if reading or writing fails.
pub fn seal(folder: &Path, known: &Digests) -> Result<()> {
    let path = folder.join(CARD);
    let card = std::fs::read(&path).at(&path)?;
    let mut card: Map<String, Value> = serde_json::from_slice(&card).at(&path)?;
    card.remove(SEAL); // earlier digests
    let mut digests = Digests::from([(CARD.to_owned(), digest(&card))]);
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != CARD {
            let digest = match known.get(&name) {
                Some(digest) => digest.clone(),
                None => digest_file(&entry.path())?,
            };
            digests.insert(name, digest);
        }
    }
    card.insert(SEAL.to_owned(), serde_json::to_value(digests).at(&path)?);
    let text = serde_json::to_string_pretty(&card).at(&path)?;
    std::fs::write(&path, text + "\n").at(&path)
}

/// Compares these files of a checkpoint's folder, and its `model.json`, with the digests in
/// `model.json`. If it has none, because an earlier version wrote it, takes those in the
/// manifest of the artifact that the folder is in, if any.
///
/// # Errors
/// [`Error::Refused`] naming the file that is missing or has changed.
pub fn check(folder: &Path, files: &[&str]) -> Result<()> {
    Sealed::read(folder)?.check(files)
}

/// The `model.json` of a checkpoint's folder, and the expected digests of the folder's
/// files.
pub(super) struct Sealed {
    folder: PathBuf,
    /// The object in `model.json`, without the digests.
    pub(super) card: Map<String, Value>,
    digests: Digests,
    /// Whether the digests come from `model.json`, which then must have all of them.
    sealed: bool,
}

impl Sealed {
    /// Reads `model.json`, and the manifest if `model.json` has no digests.
    pub(super) fn read(folder: &Path) -> Result<Sealed> {
        let path = folder.join(CARD);
        let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
        let text = std::fs::read(&path)
            .map_err(|e| refused(format!("{e}; a checkpoint's folder has this file")))?;
        let mut card: Map<String, Value> = serde_json::from_slice(&text).map_err(|e| {
            refused(format!(
                "not a JSON object ({e}); copy the checkpoint again"
            ))
        })?;
        let (digests, sealed) = match card.remove(SEAL) {
            Some(digests) => {
                let digests = serde_json::from_value(digests)
                    .map_err(|e| refused(format!("{SEAL}: {e}; copy the checkpoint again")))?;
                (digests, true)
            }
            None => (listed(folder)?, false),
        };
        Ok(Sealed {
            folder: folder.to_owned(),
            card,
            digests,
            sealed,
        })
    }

    /// Compares these files, and `model.json`, with their digests.
    pub(super) fn check(&self, files: &[&str]) -> Result<()> {
        for name in files.iter().chain([&CARD]) {
            check_interrupt()?;
            let path = self.folder.join(name);
            self.compare(name, || digest_file(&path).map_err(Error::refused))?;
        }
        Ok(())
    }

    /// Compares the digest of a file with the expected one, if there is one.
    pub(super) fn compare(&self, name: &str, of_file: impl Fn() -> Result<String>) -> Result<()> {
        let Some(expected) = self.expected(name)? else {
            return Ok(());
        };
        let found = match self.sealed && name == CARD {
            true => digest(&self.card),
            false => of_file()?,
        };
        if found == *expected {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{}: damaged: its BLAKE3 is {}, not {} as when the checkpoint was written; copy it again, or train again",
            self.folder.join(name).display(),
            short(&found),
            short(expected)
        )))
    }

    /// The expected digest of a file; `None` if an earlier version wrote the checkpoint and no
    /// manifest has it.
    fn expected(&self, name: &str) -> Result<Option<&String>> {
        let expected = self.digests.get(name);
        if expected.is_none() && self.sealed {
            return Err(Error::refused(format!(
                "{}: {SEAL} lacks {name}; copy the checkpoint again",
                self.folder.join(CARD).display()
            )));
        }
        Ok(expected)
    }
}

fn digest(card: &Map<String, Value>) -> String {
    let mut card = Value::Object(card.clone());
    card.sort_all_objects();
    blake3::hash(card.to_string().as_bytes())
        .to_hex()
        .to_string()
}

/// The digests of the files in `folder` according to the manifest two folders up, if there
/// is one.
fn listed(folder: &Path) -> Result<Digests> {
    let folder = folder.canonicalize().at(folder)?;
    let names = (
        folder.file_name().and_then(OsStr::to_str),
        folder.ancestors().nth(2),
    );
    let (Some(name), Some(root)) = names else {
        return Ok(Digests::new());
    };
    if !root.join(crate::manifest::FILE).exists() {
        return Ok(Digests::new());
    }
    let prefix = format!("{}/{name}/", CHECKPOINTS);
    let files = Manifest::read(root)?.files.into_iter();
    Ok(files
        .filter_map(|file| Some((file.name.strip_prefix(&prefix)?.to_owned(), file.blake3)))
        .collect())
}
