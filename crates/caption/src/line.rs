//! The output for one image: a line for people and for `cut`, a JSON object, or a row of CSV.

use attend_describe::Description;
use attend_program::text::escaped;
use attend_program::{Error, Result, output};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;

/// The form of the output.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// `path<TAB>caption`.
    Lines,
    /// An object, with the words' attention if wanted.
    Json {
        /// Whether it is wanted.
        alphas: bool,
    },
    /// A row of a table (RFC 4180).
    Csv,
}

impl Form {
    /// The first line.
    pub fn header(self) -> Option<&'static str> {
        matches!(self, Form::Csv).then_some("path,caption,log_prob,finished,error")
    }

    /// Prints an image's captions, best first. Returns false if standard output was closed.
    ///
    /// # Errors
    /// Those of [`output::print`].
    pub fn print(self, image: &Path, found: &[Description], figure: Option<&Path>) -> Result<bool> {
        let best = &found[0];
        match self {
            Form::Lines => output::print(line(image, best)),
            Form::Json { alphas } => output::print_json(object(image, found, figure, alphas)),
            Form::Csv => print_row([
                &image.to_string_lossy(),
                &best.caption(),
                &best.log_prob.to_string(),
                &best.finished.to_string(),
                "",
            ]),
        }
    }

    /// Prints why an image has no caption, where the form has a place for it.
    ///
    /// # Errors
    /// Those of [`output::print`].
    pub fn print_error(self, image: &Path, reason: &str) -> Result<bool> {
        match self {
            Form::Lines => Ok(true),
            Form::Json { .. } => {
                let mut object = Map::new();
                put_path(&mut object, "path", image);
                object.insert("error".into(), reason.into());
                output::print_json(Value::from(object))
            }
            Form::Csv => print_row([&image.to_string_lossy(), "", "", "", reason]),
        }
    }
}

fn print_row(fields: [&str; 5]) -> Result<bool> {
    let mut row = csv::WriterBuilder::new().from_writer(Vec::new());
    row.write_record(fields).map_err(Error::internal)?;
    let row = row.into_inner().map_err(Error::internal)?;
    let row = String::from_utf8(row).map_err(Error::internal)?;
    output::print(row.trim_end_matches('\n'))
}

/// `path<TAB>caption`. Tabs, line breaks and other control characters are escaped: see
/// [`exact`] for the path, [`escaped`] for the caption.
fn line(image: &Path, description: &Description) -> String {
    format!("{}\t{}", exact(image), escaped(&description.caption()))
}

/// A path in printable characters, reversibly: `\\` for a backslash, `\t`, `\n`, `\u{1b}`
/// for control characters, `\xff` for a byte that is not UTF-8.
pub fn exact(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += &escaped(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The JSON object of an image with its captions, best first, and the path of its figure if
/// there is one.
fn object(image: &Path, found: &[Description], figure: Option<&Path>, alphas: bool) -> Value {
    let mut object = Map::new();
    put_path(&mut object, "path", image);
    let mut each = found.iter().map(|description| description.json(alphas));
    object.extend(each.next().unwrap_or_default());
    let alternatives: Vec<Map<String, Value>> = each.collect();
    if !alternatives.is_empty() {
        object.insert("alternatives".into(), json!(alternatives));
    }
    if let Some(figure) = figure {
        put_path(&mut object, "attention", figure);
    }
    object.into()
}

/// Adds a path as `KEY`. JSON is Unicode only: bytes that are not UTF-8 are replaced
/// (U+FFFD), and then `KEY_bytes` has all bytes of the path.
fn put_path(object: &mut Map<String, Value>, key: &str, path: &Path) {
    object.insert(key.into(), path.to_string_lossy().into());
    if path.to_str().is_none() {
        let bytes = path.as_os_str().as_encoded_bytes();
        object.insert(format!("{key}_bytes"), json!(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn description(caption: &str) -> Description {
        Description {
            words: caption.split(' ').map(str::to_owned).collect(),
            word_log_probs: vec![-0.5; caption.split(' ').count()],
            log_prob: -1.0,
            score: -1.0,
            finished: true,
            alphas: Vec::new(),
            grid: [1, 1],
        }
    }

    #[test]
    fn a_line_has_one_tab_whatever_the_names_are() {
        let line = |name: &[u8], caption| {
            super::line(Path::new(OsStr::from_bytes(name)), &description(caption))
        };
        assert_eq!(line(b"a.jpg", "a dog"), "a.jpg\ta dog");
        assert_eq!(
            line(b"a\tb\nc\\t\x1b[2J\xe9.jpg", "a\u{9b}2J dog\t"),
            "a\\tb\\nc\\\\t\\u{1b}[2J\\xe9.jpg\ta\\u{9b}2J dog\\t"
        );
        assert_eq!(line("Übung 犬.jpg".as_bytes(), "犬"), "Übung 犬.jpg\t犬");
    }

    #[test]
    fn json_holds_names_that_are_no_utf8() {
        let name = b"caf\xe9\n.jpg";
        let path = Path::new(OsStr::from_bytes(name));
        let value = object(path, &[description("a dog")], Some(path), true);
        assert_eq!(value["path"], "caf\u{fffd}\n.jpg");
        assert_eq!(value["path_bytes"], json!(name));
        assert_eq!(value["attention_bytes"], json!(name));
        let value = object(Path::new("a\t.jpg"), &[description("a dog")], None, false);
        assert_eq!(value["path"], "a\t.jpg");
        assert!(value.get("path_bytes").is_none());
    }
}
