//! Rows as JSON: an object on each line (JSON Lines), a list of objects, or an object of
//! captions by image (`{"a.jpg": ["a dog", "the dog"]}`).

use super::columns::{Chosen, choose};
use super::interface::{Each, Row, Table};
use crate::config::Section;
use crate::formats::diagnose;
use attend_artifact::Input;
use attend_program::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;
use std::path::{Path, PathBuf};

/// Number of first rows whose keys are the table's columns.
const SAMPLE: usize = 100;

pub(super) struct Json {
    path: PathBuf,
    text: String,
    input: Input,
    form: Form,
    columns: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Lines,
    List,
    /// Captions by image.
    Captions,
}

/// Whether a text may be JSON rather than delimited.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Recognises the form of a text.
///
/// # Errors
/// [`Error::Input`] naming the file, and saying what it is if that is known.
pub(super) fn open(path: &Path, text: String, input: Input, section: &Section) -> Result<Json> {
    let begin = text.trim();
    let line = begin.lines().next().unwrap_or_default();
    let first: Option<Map<String, Value>> = serde_json::from_str(line).ok();
    let form = match &first {
        _ if begin.starts_with('[') => Form::List,
        Some(_) if line.len() < begin.len() => Form::Lines,
        // One object alone may be a row or have captions by image.
        Some(row) if is_row(row, section) => Form::Lines,
        _ if serde_json::from_str::<Captions<'_>>(begin).is_ok() => Form::Captions,
        _ => return Err(explained(path, &text)),
    };
    let mut json = Json {
        path: path.to_owned(),
        columns: Vec::new(),
        text,
        input,
        form,
    };
    json.columns = match form {
        Form::Captions => vec!["image".into(), "caption".into()],
        Form::Lines | Form::List => json.keys()?,
    };
    Ok(json)
}

fn is_row(row: &Map<String, Value>, section: &Section) -> bool {
    // pandas writes an object for each column unless it is told otherwise.
    let by_column = row.values().all(Value::is_object);
    let keys: Vec<String> = row.keys().cloned().collect();
    !by_column && choose(&keys, &[], &section.columns).is_ok()
}

/// Captions by image, in the text's order.
struct Captions<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Captions<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CaptionsVisitor)
    }
}

struct CaptionsVisitor;

impl<'de> Visitor<'de> for CaptionsVisitor {
    type Value = Captions<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("captions by image")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Captions<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some((image, captions)) = map.next_entry::<String, &RawValue>()? {
            let list = serde_json::from_str::<Vec<String>>(captions.get()).is_ok();
            if !(list || captions.get().starts_with('"')) {
                return Err(serde::de::Error::custom("neither captions nor rows"));
            }
            all.push((image, captions));
        }
        Ok(Captions(all))
    }
}

impl Json {
    /// The keys of the first rows.
    fn keys(&self) -> Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        let mut rows = 0;
        self.raw(&mut |_, row| {
            let row: Map<String, Value> = serde_json::from_str(row).unwrap_or_default();
            for key in row.into_iter().map(|(key, _)| key) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            rows += 1;
            Ok(rows < SAMPLE)
        })?;
        Ok(keys)
    }

    /// Calls `each` with each row's line and text, as long as that returns true.
    fn raw(&self, each: &mut dyn FnMut(usize, &str) -> Result<bool>) -> Result<()> {
        if self.form == Form::Lines {
            for (number, line) in self.text.lines().enumerate() {
                if !line.trim().is_empty() && !each(number + 1, line)? {
                    break;
                }
            }
            return Ok(());
        }
        let list = serde_json::from_str::<Vec<&RawValue>>(&self.text);
        let list = list.map_err(|_| explained(&self.path, &self.text))?;
        let mut lines = Lines::new(&self.text);
        for row in list {
            if !each(lines.of(row.get()), row.get())? {
                break;
            }
        }
        Ok(())
    }
}

impl Table for Json {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn rows(&self, chosen: &Chosen, each: &mut Each<'_>) -> Result<Input> {
        if self.form == Form::Captions {
            let all = serde_json::from_str::<Captions<'_>>(&self.text);
            let Captions(all) = all.map_err(|_| explained(&self.path, &self.text))?;
            let mut lines = Lines::new(&self.text);
            for (image, captions) in all {
                let row = serde_json::from_str(captions.get()).map(|captions| Row {
                    image: Value::String(image),
                    captions: vec![captions],
                    ..Row::default()
                });
                each(lines.of(captions.get()), row.map_err(|e| reason(&e)))?;
            }
            return Ok(self.input.clone());
        }
        self.raw(&mut |line, text| {
            let row = serde_json::from_str::<Map<String, Value>>(text);
            let row = row.map(|row| {
                Row::new(chosen, |column| {
                    row.get(&self.columns[column]).cloned().unwrap_or_default()
                })
            });
            each(line, row.map_err(|e| reason(&e)))?;
            Ok(true)
        })?;
        Ok(self.input.clone())
    }
}

/// The line of each of successive parts of a text.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        Lines {
            text,
            at: 0,
            line: 1,
        }
    }

    fn of(&mut self, part: &str) -> usize {
        let at = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let between = self.text.as_bytes().get(self.at..at).unwrap_or_default();
        self.line += between.iter().filter(|&&byte| byte == b'\n').count();
        self.at = at.max(self.at);
        self.line
    }
}

/// serde_json's message, without the place, which would be that within the row.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    format!("not a JSON object that can be read ({text})")
}

/// The message for a text that is no table.
fn explained(path: &Path, text: &str) -> Error {
    let expected = "expected a list of objects, JSON Lines, or captions by image";
    let place = path.display();
    if let Some(kind) = diagnose::json(path, expected) {
        return Error::input(format!("{place}: {kind}"));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Err(e) => Error::input(format!(
            "{place}:{}:{}: not valid JSON ({e})",
            e.line(),
            e.column()
        )),
        Ok(_) => Error::input(format!(
            "{place}: {expected} (pandas: to_json(orient=\"records\"))"
        )),
    }
}
