//! Delimited text: CSV, TSV, and lines of a photograph's name and a caption.
//!
//! Quotes are those of RFC 4180. They have no meaning between `|` and spaces, nor between
//! tabs where they don't fit. If the caption is the last column, a row's surplus fields
//! belong to it: people write `a.jpg, a dog, running` without quotes.

use super::columns::{Chosen, Undecided, choose, unnamed};
use super::interface::{Each, Row, Table};
use crate::config::Section;
use crate::formats::samples::PHOTOGRAPHS;
use attend_artifact::Input;
use attend_program::{Error, Result};
use csv::{ReaderBuilder, StringRecord};
use serde_json::Value;
use std::path::{Path, PathBuf};

const DELIMITERS: [u8; 5] = [b',', b'\t', b';', b'|', b' '];
/// Number of first rows by which the form is recognised.
const SAMPLE: usize = 50;

pub(super) struct Delimited {
    path: PathBuf,
    text: String,
    input: Input,
    form: Form,
    columns: Vec<String>,
}

/// How fields and rows are separated.
#[derive(Clone, Copy)]
pub(super) struct Form {
    delimiter: u8,
    quoting: bool,
    header: bool,
}

/// Recognises the form of a text.
///
/// # Errors
/// [`Error::Input`] naming the file and line.
pub(super) fn open(
    path: &Path,
    text: String,
    input: Input,
    section: &Section,
) -> Result<Delimited> {
    let wrong = |why: String| Error::input(format!("{}:{why}", path.display()));
    let (form, columns) =
        recognise(&text, section).map_err(|Undecided { why, .. }| wrong(format!("1: {why}")))?;
    let (form, misquoted) = match form
        .quoting
        .then(|| misquoted(&text, form.delimiter))
        .flatten()
    {
        Some(_) if form.delimiter == b'\t' => (
            Form {
                quoting: false,
                ..form
            },
            None,
        ),
        line => (form, line),
    };
    if let Some(line) = misquoted {
        return Err(wrong(format!(
            "{line}: a field begins with a quote but does not end with one; double the quotes within a quoted field"
        )));
    }
    Ok(Delimited {
        path: path.to_owned(),
        text,
        input,
        form,
        columns,
    })
}

/// The form of a text and the names of its columns.
///
/// # Errors
/// Why it is no table, or which columns have to be named.
pub(super) fn recognise(text: &str, section: &Section) -> Result<(Form, Vec<String>), Undecided> {
    let lacks = match section.header {
        Some(false) => None,
        _ => match with_header(text, section) {
            Ok(found) => return Ok(found),
            // Columns that could be several are a header's.
            Err((_, undecided)) if section.header.is_some() || undecided.choices.is_some() => {
                return Err(undecided);
            }
            Err(lacks) => Some(lacks),
        },
    };
    for form in forms(section, false) {
        if let Some(columns) = without_header(text, form, section)? {
            return Ok((form, columns));
        }
    }
    Err(match lacks {
        Some((2.., Undecided { why, .. })) => format!("if this is a header: {why}; if there is none, the first field of each line must be a photograph's name, or set dataset.header and dataset.delimiter"),
        _ => "neither a header of columns nor a photograph's name and a caption; set dataset.delimiter, dataset.header and dataset.columns".into(),
    }
    .into())
}

/// The forms that a text may have.
fn forms(section: &Section, header: bool) -> impl Iterator<Item = Form> {
    let delimiters = match section.delimiter.as_bytes() {
        [] => &DELIMITERS[..],
        given => given,
    };
    delimiters.iter().map(move |&delimiter| Form {
        delimiter,
        quoting: !matches!(delimiter, b'|' | b' '),
        header,
    })
}

/// The form in which the first line names the columns; or the number of columns and what
/// they lack, with the delimiter that separates most.
fn with_header(text: &str, section: &Section) -> Result<(Form, Vec<String>), (usize, Undecided)> {
    let mut lacks = (0, "an empty table".to_owned().into());
    for form in forms(section, true) {
        let first = records(text, form).next();
        let first = first.iter().flat_map(|(_, first)| first);
        let names: Vec<String> = first.map(|name| name.trim().to_owned()).collect();
        match choose(&names, &[], &section.columns) {
            Ok(_) if !unnamed(&names) => return Ok((form, names)),
            Err(undecided) if names.len() > lacks.0 => lacks = (names.len(), undecided),
            _ => {}
        }
    }
    Err(lacks)
}

/// The numbers of the columns, if the text has this form, without header.
///
/// # Errors
/// If it is not clear what the columns hold.
fn without_header(
    text: &str,
    form: Form,
    section: &Section,
) -> Result<Option<Vec<String>>, String> {
    let sample = records(text, form).take(SAMPLE).map(|(_, row)| row);
    let sample: Vec<StringRecord> = sample.collect();
    let lengths = || sample.iter().map(StringRecord::len);
    let (Some(fewest), Some(most)) = (lengths().min(), lengths().max()) else {
        return Ok(None);
    };
    let image = section.columns.image.parse::<usize>().unwrap_or(1);
    let named = |row: &StringRecord| row.get(image.saturating_sub(1)).is_some_and(is_photograph);
    let sure = section.header == Some(false) && !section.delimiter.is_empty();
    if fewest < 2 || !(sure || sample.iter().all(named)) {
        return Ok(None);
    }
    let given = section.columns != Default::default();
    if fewest > 2 && fewest == most && form.delimiter != b' ' && !given {
        return Err(format!(
            "{fewest} columns without a header; say what they hold: dataset.columns = {{ image = \"1\", caption = \"2\" }}"
        ));
    }
    let columns = if given { fewest } else { 2 };
    Ok(Some(
        (1..=columns).map(|number| number.to_string()).collect(),
    ))
}

/// Whether a field is the name of a photograph's file, also with a caption's number behind
/// it (`1.jpg#0`).
pub(super) fn is_photograph(field: &str) -> bool {
    let name = without_number(field.trim());
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    PHOTOGRAPHS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

/// `1.jpg` of `1.jpg#0`.
fn without_number(name: &str) -> &str {
    match name.rsplit_once('#') {
        Some((photograph, number))
            if photograph.contains('.')
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            photograph
        }
        _ => name,
    }
}

/// The first records of a text with this delimiter, without header.
pub(super) fn rows(text: &str, delimiter: char) -> Vec<StringRecord> {
    let form = Form {
        delimiter: delimiter as u8,
        quoting: delimiter != '|',
        header: false,
    };
    records(text, form)
        .map(|(_, row)| row)
        .take(SAMPLE)
        .collect()
}

/// The line and fields of each record, without blank ones.
fn records(text: &str, form: Form) -> impl Iterator<Item = (usize, StringRecord)> {
    let reader = ReaderBuilder::new()
        .delimiter(form.delimiter)
        .quoting(form.quoting)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    // The text is UTF-8 and records may be of any length, so that none can be wrong.
    let records = reader.into_records().map_while(Result::ok);
    records
        .filter(|record| record.iter().any(|field| !field.trim().is_empty()))
        .map(|record| (record.position().map_or(0, |at| at.line() as usize), record))
}

impl Table for Delimited {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn rows(&self, chosen: &Chosen, each: &mut Each<'_>) -> Result<Input> {
        let expected = self.columns.len();
        let joins = chosen.captions.last() == Some(&(expected - 1));
        let (mut joined, mut first) = (0, 0);
        for (line, record) in records(&self.text, self.form).skip(self.form.header.into()) {
            let surplus = record.len() > expected;
            if record.len() < expected || (surplus && !joins) {
                each(
                    line,
                    Err(format!("{} fields, not {expected}", record.len())),
                )?;
                continue;
            }
            if surplus {
                first = if joined == 0 { line } else { first };
                joined += 1;
            }
            let cell = |column: usize| match () {
                () if column == chosen.image => without_number(record[column].trim()).to_owned(),
                () if surplus && column == expected - 1 => self.rest(&record, column),
                () => self.trimmed(&record[column]).to_owned(),
            };
            each(
                line,
                Ok(Row::new(chosen, |column| Value::String(cell(column)))),
            )?;
        }
        if joined > 0 && self.form.header {
            tracing::warn!(
                "{}: {joined} rows have more fields than the header, the first in line {first}; these are taken as part of the caption",
                self.path.display()
            );
        }
        Ok(self.input.clone())
    }
}

impl Delimited {
    /// A field without the spaces that people write after a delimiter: `a.jpg, a dog`.
    fn trimmed<'a>(&self, field: &'a str) -> &'a str {
        match self.form.header && self.form.delimiter != b'|' {
            true => field,
            false => field.trim(),
        }
    }

    /// The fields from `from` on, with the delimiters between them.
    fn rest(&self, record: &StringRecord, from: usize) -> String {
        let fields: Vec<&str> = record.iter().skip(from).collect();
        let delimiter = char::from(self.form.delimiter).to_string();
        self.trimmed(&fields.join(&delimiter)).to_owned()
    }
}

/// The line of the first field that begins with a quote but does not end with one.
fn misquoted(text: &str, delimiter: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut line, mut begins) = (0, 1, true);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        line += usize::from(byte == b'\n');
        if byte != b'"' || !begins {
            begins = byte == delimiter || matches!(byte, b'\n' | b'\r');
            continue;
        }
        let opened = line;
        loop {
            let length = bytes[at..].iter().position(|&byte| byte == b'"');
            let Some(length) = length else {
                return Some(opened);
            };
            line += bytes[at..at + length]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count();
            at += length + 1;
            match bytes.get(at) {
                Some(b'"') => at += 1,
                None | Some(b'\r' | b'\n') => break,
                Some(next) if *next == delimiter => break,
                Some(_) => return Some(opened),
            }
        }
        begins = false;
    }
    None
}
