//! Tables: CSV and similar forms, with a header, or without one if the first column can
//! only be an image's id.

use super::id::{Id, photograph};
use super::row::{CAPTIONS, IDS, LAST_ID, NAMES, Row, SPLIT, rank};
use csv::{ReaderBuilder, StringRecord};
use std::borrow::Cow;

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The form of a table and the positions of its columns.
#[derive(Default)]
pub(super) struct Layout {
    delimiter: u8,
    header: bool,
    columns: usize,
    /// Flickr8k's own form (`42.jpg#0<tab>a dog`), in which quotes have no special meaning.
    pub(super) numbered: bool,
    id: Option<usize>,
    name: Option<usize>,
    last_id: Option<usize>,
    split: Option<usize>,
    captions: Vec<usize>,
}

/// The table's layout from the first line of a text; `None` if it is not a table.
///
/// # Errors
/// The column that a header lacks.
pub(super) fn layout(text: &str) -> Result<Option<Layout>, String> {
    let mut lacks = None;
    for delimiter in DELIMITERS {
        let Some(first) = records(text, delimiter, delimiter != b'|').next() else {
            return Ok(None);
        };
        let fields: Vec<&str> = first.1.iter().map(str::trim).collect();
        if let Some(layout) = of_header(&fields, delimiter).or_else(|| of_row(&fields, delimiter)) {
            return Ok(Some(layout));
        }
        lacks = lacks.or_else(|| lacking(&fields));
    }
    lacks.map_or(Ok(None), |(what, names)| {
        let names = names.join(", ");
        Err(format!(
            "line 1: a header without a column of {what}; its name must be one of {names}"
        ))
    })
}

fn of_header(fields: &[&str], delimiter: u8) -> Option<Layout> {
    let best = |names: &[&str]| {
        let ranks = (0..)
            .zip(fields)
            .filter_map(|(i, field)| Some((rank(names, field)?, i)));
        ranks.min().map(|(_, i)| i)
    };
    let ranks = |field: &&str| rank(&CAPTIONS, unnumbered(field));
    let first = fields.iter().filter_map(ranks).min()?;
    let layout = Layout {
        delimiter,
        header: true,
        columns: fields.len(),
        numbered: false,
        id: best(&IDS),
        name: best(&NAMES),
        last_id: best(&[LAST_ID]),
        split: best(&[SPLIT]),
        captions: (0..fields.len())
            .filter(|&i| ranks(&fields[i]) == Some(first))
            .collect(),
    };
    layout.id.or(layout.name).or(layout.last_id).map(|_| layout)
}

/// The name without a number: `caption_2` is another `caption`.
fn unnumbered(field: &str) -> &str {
    let name = field.trim_end_matches(|c: char| c.is_ascii_digit());
    name.trim_end_matches(['_', '-', ' '])
}

/// The layout of a table whose first line is already a row: a photograph's name and a
/// caption, or a number, a tab and a caption.
fn of_row(fields: &[&str], delimiter: u8) -> Option<Layout> {
    let id = *fields.first().filter(|_| fields.len() > 1)?;
    let number = delimiter == b'\t' && id.parse::<i64>().is_ok();
    (number || photograph(id).is_some()).then(|| Layout {
        delimiter,
        columns: 2,
        numbered: photograph(id).is_some_and(|name| name != id),
        id: Some(0),
        captions: vec![1],
        ..Layout::default()
    })
}

/// The column that is missing from a line that can only be a header; `None` if the line
/// may be a caption.
fn lacking(fields: &[&str]) -> Option<(&'static str, Vec<&'static str>)> {
    let captions = fields
        .iter()
        .any(|field| rank(&CAPTIONS, unnumbered(field)).is_some());
    let ids = [&IDS[..], &NAMES, &[LAST_ID]].concat();
    let images = fields.iter().any(|field| rank(&ids, field).is_some());
    let short = |field: &&str| field.split_whitespace().count() <= 3;
    match (captions, images) {
        _ if !fields.iter().all(short) => None,
        (true, false) => Some(("image ids", ids)),
        (false, true) => Some(("captions", CAPTIONS.to_vec())),
        _ => None,
    }
}

/// The line number and fields of each record, without records of blank fields.
#[expect(
    clippy::expect_used,
    reason = "the reader takes records of any length, and its text has nothing else to refuse"
)]
fn records(
    text: &str,
    delimiter: u8,
    quoting: bool,
) -> impl Iterator<Item = (usize, StringRecord)> {
    let reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quoting)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let records = reader.into_records();
    let records = records.map(|record| record.expect("the text is UTF-8 and in memory"));
    let records = records.filter(|record| record.iter().any(|field| !field.trim().is_empty()));
    records.map(|record| {
        let position = record.position().expect("it was read");
        (position.line() as usize, record)
    })
}

/// The rows of a table.
///
/// # Errors
/// The line and what is wrong in it.
pub(super) fn rows<'a>(layout: &Layout, text: &str) -> Result<Vec<Row<'a>>, String> {
    let delimiter = layout.delimiter;
    let quoting = match (delimiter, misquoted(text, delimiter)) {
        (b'|', _) => false,
        (b'\t', wrong) => !layout.numbered && wrong.is_none(),
        (_, None) => true,
        (_, Some(line)) => {
            return Err(format!(
                "line {line}: a field begins with a quote but does not end with one; double the quotes within a quoted field"
            ));
        }
    };
    records(text, delimiter, quoting)
        .skip(layout.header.into())
        .map(|(line, record)| row(layout, line, &record))
        .collect()
}

fn row<'a>(layout: &Layout, line: usize, record: &StringRecord) -> Result<Row<'a>, String> {
    if record.len() != layout.columns {
        let delimiter = char::from(layout.delimiter);
        return Err(format!(
            "line {line}: {} fields, not {}; put a field that contains {delimiter:?} in quotes, and leave no field out",
            record.len(),
            layout.columns
        ));
    }
    let id = |column: Option<usize>| {
        let text = record.get(column?)?.trim();
        let name = photograph(text).unwrap_or(text);
        (!name.is_empty()).then(|| Id::of_text(name.to_owned()))
    };
    let mut captions = Vec::with_capacity(layout.captions.len());
    for field in layout
        .captions
        .iter()
        .flat_map(|column| record.get(*column))
    {
        captions.extend(sentences(field).map_err(|what| format!("line {line}: {what}"))?);
    }
    Ok(Row {
        id: id(layout.id),
        name: id(layout.name),
        last_id: id(layout.last_id),
        split: layout
            .split
            .and_then(|column| Some(record.get(column)?.trim().to_owned().into())),
        captions: Some(captions),
        place: line,
    })
}

/// A caption, or several as a JSON list.
fn sentences<'a>(field: &str) -> Result<Vec<Cow<'a, str>>, String> {
    let text = field.trim();
    let list = text.starts_with("[\"") || text.starts_with("['");
    if !list || !text.ends_with(']') {
        return Ok(vec![field.to_owned().into()]);
    }
    let list: Vec<String> = serde_json::from_str(text)
        .map_err(|_| "a list of captions that is not JSON; write it with json.dumps")?;
    Ok(list.into_iter().map(Cow::from).collect())
}

/// The line of the first field that begins with a quote but does not end with one.
/// A quoted field with line breaks and tabs counts as two rows that begin with a quote.
fn misquoted(text: &str, delimiter: u8) -> Option<usize> {
    let mut bytes = text.bytes().peekable();
    let (mut line, mut begins) = (1, true);
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        if byte != b'"' || !begins {
            begins = byte == delimiter || byte == b'\n';
            continue;
        }
        let opened = line;
        loop {
            match bytes.next() {
                None => return Some(opened),
                Some(b'"') if bytes.next_if_eq(&b'"').is_none() => break,
                Some(b'\t') if delimiter == b'\t' && line > opened => return Some(opened),
                Some(byte) => line += usize::from(byte == b'\n'),
            }
        }
        let ends = |byte: &u8| *byte == delimiter || matches!(byte, b'\r' | b'\n');
        if !bytes.peek().is_none_or(ends) {
            return Some(opened);
        }
        begins = false;
    }
    None
}
