//! How annotation files are read: whole, or refused with one message, for half of a data
//! set is none.
//!
//! That goes for text that is no Unicode too, in JSON a lone half of a surrogate
//! pair (`\ud800`). Memory is taken in proportion to the file's size; JSON may be
//! nested 128 levels deep, and any number in keys that are not read.

use super::diagnose;
use super::open::{input, open};
use crate::archive;
use attend_artifact::{At, Error, Input, Result};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::io::{BufReader, Read};
use std::path::Path;

/// Reads a JSON file straight into `T`, without a copy of its text in memory. `what` says
/// which file is expected and which key of the config leads there.
///
/// # Errors
/// [`Error::Input`] with the line and column of what is wrong.
pub fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<(T, Input)> {
    let mut reader = BufReader::with_capacity(1 << 20, open(path, what)?);
    match serde_json::from_reader(&mut reader) {
        Ok(content) => Ok((content, reader.get_ref().input())),
        Err(error) => Err(explained::<T>(&error, path, what)),
    }
}

/// What is wrong with a JSON file, with the way out.
fn explained<T: DeserializeOwned>(error: &serde_json::Error, path: &Path, what: &str) -> Error {
    if error.classify() == Category::Io {
        return Error::internal(format!("{}: {error}", path.display()));
    }
    if let Some(kind) = diagnose::json(path, what) {
        return Error::input(format!("{}: {kind}; expected: {what}", path.display()));
    }
    let text = error.to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    let hint = match error.classify() {
        Category::Eof => ": the file ends too early, copy or download it again".to_owned(),
        Category::Syntax if text.starts_with("invalid unicode") => {
            ": not UTF-8 (Latin-1?), save it as UTF-8".to_owned()
        }
        Category::Syntax => ": no valid JSON".to_owned(),
        _ => diagnose::key::<T>(path).map_or(String::new(), |key| format!(" ({key})")),
    };
    let place = format!("{}:{}:{}", path.display(), error.line(), error.column());
    Error::input(format!("{place}: {message}{hint}; expected: {what}"))
}

/// Reads a text file, or a member of an archive (`texts.zip/captions.txt`). `what` as in
/// [`read_json`].
///
/// # Errors
/// [`Error::Input`] if it is not UTF-8.
pub fn read_text(path: &Path, what: &str) -> Result<(String, Input)> {
    let (bytes, input) = match archive::member(path) {
        Some(content) => {
            let content = content?;
            let digest = blake3::hash(&content);
            (content, input(digest))
        }
        None => {
            let (mut file, mut bytes) = (open(path, what)?, Vec::new());
            file.read_to_end(&mut bytes).at(path)?;
            (bytes, file.input())
        }
    };
    if let Some(kind) = diagnose::no_text(&bytes) {
        let path = path.display();
        return Err(Error::input(format!("{path}: {kind}; expected: {what}")));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::input(format!(
            "{}:{line}: not UTF-8; save it as UTF-8; expected: {what}",
            path.display()
        ))
    })?;
    Ok((text, input))
}
