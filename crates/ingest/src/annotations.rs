//! What all annotation formats come down to, and how their files are opened.
//!
//! A file is read whole or refused with one message: half of a data set is none.
//! That goes for text that is no Unicode too, in JSON a lone half of a surrogate
//! pair (`\ud800`). Memory is taken in proportion to the file's size; JSON may be
//! nested 128 levels deep, and any number in keys that are not read.

use crate::archive;
use crate::diagnose;
use crate::ids::Id;
use attend_artifact::{At, Error, Result};
use rustix::fs::OFlags;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// All that the annotation files of a data set say, in their order, unchecked.
#[derive(Debug, Default)]
pub struct Annotations {
    /// The images.
    pub images: Vec<ListedImage>,
    /// The captions.
    pub captions: Vec<ListedCaption>,
    /// The files that were read.
    pub files: Vec<AnnotationFile>,
    /// Folders under the root that hold the photographs and must exist.
    pub folders: Vec<String>,
    /// Whether captions stand with their image, and don't name it by its id.
    pub nested: bool,
}

/// An annotation file and the role it has.
#[derive(Clone, Debug)]
pub struct AnnotationFile {
    /// Name among the inputs in the manifest, such as `captions_train`.
    pub role: String,
    /// Where it is.
    pub path: PathBuf,
}

/// An image as an annotation file lists it.
#[derive(Clone, Debug)]
pub struct ListedImage {
    /// Identity in the source.
    pub image_id: Id,
    /// Its split, as the source calls it; none where it is in no split's list.
    pub split: Option<String>,
    /// Folder under the root, empty or ours to trust.
    pub folder: String,
    /// File name under `folder` as the annotations have it: not to be trusted.
    pub name: String,
}

/// A caption as an annotation file lists it.
#[derive(Clone, Debug)]
pub struct ListedCaption {
    /// Identity in the source.
    pub caption_id: Id,
    /// The id of the image that it is said to describe.
    pub image_id: Id,
    /// That image, by its index among the listed ones; none where it is not listed.
    pub image: Option<usize>,
    /// The text.
    pub caption: String,
}

/// Opens an annotation file, behind its byte order mark; `what` says which file is
/// expected and which key of the config leads there.
///
/// # Errors
/// [`Error::Input`] where there is none.
pub fn open(path: &Path, what: &str) -> Result<File> {
    let refused = |why: &dyn std::fmt::Display| {
        Error::input(format!("{}: {why}; expected here: {what}", path.display()))
    };
    let file = OpenOptions::new()
        .read(true)
        // A named pipe would wait for its writer.
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path);
    let mut file = match file {
        Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => file,
        Ok(_) => return Err(refused(&"not a file")),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let unpack =
                archive::hint_beside(path).map_or(String::new(), |hint| format!(" ({hint})"));
            return Err(refused(&format!("no such file{unpack}")));
        }
        Err(e) => return Err(refused(&e)),
    };
    let mut begin = Vec::new();
    (&file)
        .take(BOM.len() as u64)
        .read_to_end(&mut begin)
        .at(path)?;
    if begin != BOM {
        file.rewind().at(path)?;
    }
    Ok(file)
}

/// What some editors put before UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Reads a JSON file straight into `T`, without a copy of its text in memory.
/// `what` as in [`open`].
///
/// # Errors
/// [`Error::Input`] with the line and column of what is wrong.
pub fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let reader = BufReader::with_capacity(1 << 20, open(path, what)?);
    serde_json::from_reader(reader).map_err(|e| {
        if e.classify() == Category::Io {
            return Error::internal(format!("{}: {e}", path.display()));
        }
        if let Some(kind) = diagnose::json(path, what) {
            return Error::input(format!("{}: {kind}; expected: {what}", path.display()));
        }
        let text = e.to_string();
        let message = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(message, _)| message);
        let hint = match e.classify() {
            Category::Eof => ": the file ends too early, copy or download it again".to_owned(),
            Category::Syntax if text.starts_with("invalid unicode") => {
                ": not UTF-8 (Latin-1?), save it as UTF-8".to_owned()
            }
            Category::Syntax => ": no valid JSON".to_owned(),
            _ => diagnose::key::<T>(path).map_or(String::new(), |key| format!(" ({key})")),
        };
        let place = format!("{}:{}:{}", path.display(), e.line(), e.column());
        Error::input(format!("{place}: {message}{hint}; expected: {what}"))
    })
}

/// Reads a text file. `what` as in [`open`].
///
/// # Errors
/// [`Error::Input`] where it is not UTF-8.
pub fn read_text(path: &Path, what: &str) -> Result<String> {
    let mut bytes = Vec::new();
    match archive::member(path) {
        Some(content) => bytes = content?,
        None => {
            open(path, what)?.read_to_end(&mut bytes).at(path)?;
        }
    }
    if let Some(kind) = diagnose::no_text(&bytes) {
        let path = path.display();
        return Err(Error::input(format!("{path}: {kind}; expected: {what}")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::input(format!(
            "{}:{line}: not UTF-8; save it as UTF-8; expected: {what}",
            path.display()
        ))
    })
}
