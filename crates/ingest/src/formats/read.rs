//! Reads annotation files as a whole, or refuses them with one message: half a data set is
//! useless.
//!
//! Text that is not Unicode is refused, in JSON also a lone half of a surrogate pair
//! (`\ud800`). Memory grows with the file's size. JSON may be nested 128 levels deep, and
//! to any depth in keys that are not read.

use super::diagnose;
use super::open::{input, open};
use crate::archive;
use attend_artifact::Input;
use attend_program::{At, Error, Result};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::io::{BufReader, Read};
use std::path::Path;

/// Reads a JSON file straight into `T`, without a copy of its text in memory. `what` is for
/// messages: the expected file and the config key that leads to it.
///
/// # Errors
/// [`Error::Input`] with the line and column of the mistake.
pub fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<(T, Input)> {
    let mut reader = BufReader::with_capacity(1 << 20, open(path, what)?);
    match serde_json::from_reader(&mut reader) {
        Ok(content) => Ok((content, reader.get_ref().input())),
        Err(error) => Err(explained::<T>(&error, path, what)),
    }
}

/// The message for a mistake in a JSON file, and what to do.
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
        Category::Eof => ": the file ends too early; copy or download it again".to_owned(),
        Category::Syntax if text.starts_with("invalid unicode") => {
            ": not UTF-8 (Latin-1?); save it as UTF-8".to_owned()
        }
        Category::Syntax => ": not valid JSON".to_owned(),
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
