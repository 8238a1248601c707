//! Recognises a file by its content.

use super::file::File;
use super::id::photograph;
use super::row::{CAPTIONS, IDS, NAMES, rank};
use super::table::{self, Layout};
use crate::Error;

/// A form of file that holds captions, with the file's text.
pub(super) enum Kind<'a> {
    Json(&'a str),
    Table(Layout, &'a str),
    /// Line n is image n.
    Text(&'a str),
}

const EXPORT: &str = "export its table as CSV with the header image_id,caption";
const UNPACK: &str = "unpack it first";
const PANDAS: &str = "write it as CSV, in Python: pandas.read_parquet(…).to_csv(…, index=False)";
const DUMP: &str = "write the captions as JSON, in Python: json.dump([{\"image_id\": …, \"caption\": …}, …], file)";
const UTF8: &str = "make it UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW";

/// Files that hold no captions, or captions that are not read here: their first bytes,
/// what they are, and what to do.
const OTHERS: [(&[u8], &str, &str); 26] = [
    (b"%PDF-", "a PDF", EXPORT),
    (b"%!PS", "a PostScript file", EXPORT),
    (b"{\\rtf", "an RTF file", EXPORT),
    (b"\xD0\xCF\x11\xE0", "an old Excel or Word file", EXPORT),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", UNPACK),
    (b"\x1F\x8B", "gzip", "unpack it first: gunzip FILE"),
    (b"BZh", "bzip2", "unpack it first: bunzip2 FILE"),
    (b"\xFD7zXZ\0", "xz", "unpack it first: unxz FILE"),
    (
        b"\x28\xB5\x2F\xFD",
        "Zstandard",
        "unpack it first: unzstd FILE",
    ),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1A\x07", "a RAR archive", UNPACK),
    (b"PAR1", "a Parquet table", PANDAS),
    (
        b"ARROW1",
        "an Arrow table",
        "write it as CSV, in Python: pandas.read_feather(…).to_csv(…, index=False)",
    ),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file", DUMP),
    (b"\x93NUMPY", "a NumPy array", DUMP),
    (b"\x80\x02", PICKLE, DUMP),
    (b"\x80\x03", PICKLE, DUMP),
    (b"\x80\x04", PICKLE, DUMP),
    (b"\x80\x05", PICKLE, DUMP),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (
        b"\xFF\xD8\xFF",
        "a JPEG photograph",
        "name the file of its captions",
    ),
    (b"\x89PNG", "a PNG picture", "name the file of its captions"),
    (b"\xFF\xFE", "UTF-16 text", UTF8),
    (b"\xFE\xFF", "UTF-16 text", UTF8),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "git lfs pull brings it",
    ),
];
const PICKLE: &str = "a Python pickle, which is a program and never executed here";

/// Recognises the form of a file.
///
/// # Errors
/// [`Error::Malformed`] saying what the file is instead and what to do.
pub(super) fn recognise(file: &File) -> Result<Kind<'_>, Error> {
    recognise_bytes(&file.bytes).map_err(|what| file.malformed(what))
}

fn recognise_bytes(bytes: &[u8]) -> Result<Kind<'_>, String> {
    if let Some((what, way_out)) = other(bytes) {
        return Err(format!("{what}, not captions; {way_out}"));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = line_at(bytes, e.valid_up_to());
        match bytes.contains(&0) {
            true => "a binary file, not captions".to_owned(),
            false => format!(
                "line {line}: not UTF-8; if it is Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW"
            ),
        }
    })?;
    let begin = text.trim_start();
    if begin.is_empty() {
        return Err("an empty file".into());
    }
    if is_json(begin) {
        return Ok(Kind::Json(text));
    }
    if let Some(at) = text
        .bytes()
        .position(|byte| byte < b' ' && !b"\t\n\r".contains(&byte))
    {
        let line = line_at(bytes, at);
        return Err(format!(
            "line {line}: a control character, so this is a binary file, not captions"
        ));
    }
    if let Some(markup) = markup(begin) {
        return Err(format!("{markup}, not captions; {EXPORT}"));
    }
    if let Some(layout) = table::layout(text)? {
        return Ok(Kind::Table(layout, text));
    }
    match odd(text) {
        Some(odd) => Err(format!(
            "{odd}, so it is not plain text with a caption on each line; write it as JSON, or as CSV with the header image_id,caption"
        )),
        None => Ok(Kind::Text(text)),
    }
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

fn other(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let known = OTHERS.iter().find(|(begin, ..)| bytes.starts_with(begin));
    let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    match known {
        Some((b"PK\x03\x04", ..)) if holds(b"xl/") => Some(("an Excel workbook", EXPORT)),
        Some((b"PK\x03\x04", ..)) if holds(b"word/") => Some(("a Word document", EXPORT)),
        Some((_, what, way_out)) => Some((what, way_out)),
        None if bytes.get(257..262) == Some(b"ustar") => Some(("a tar archive", UNPACK)),
        // In UTF-16, every second byte of Latin letters is zero.
        None => {
            let zeros = |first: usize| bytes.iter().skip(first).step_by(2).take(8).all(|b| *b == 0);
            (bytes.len() >= 16 && zeros(0) != zeros(1)).then_some(("UTF-16 text", UTF8))
        }
    }
}

/// An object, or a list of JSON values; a caption may begin with `[unk]`.
fn is_json(text: &str) -> bool {
    let inner = text.strip_prefix('[').map(str::trim_start);
    let value = |c: char| "{[\"']-".contains(c) || c.is_ascii_digit();
    text.starts_with('{') || inner.is_some_and(|inner| inner.is_empty() || inner.starts_with(value))
}

/// Recognises HTML, XML and YAML; a caption may begin with `<start>`.
fn markup(text: &str) -> Option<&'static str> {
    let begins = |prefix: &str| {
        (text.get(..prefix.len())).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
    };
    let key = text.strip_prefix("- ").unwrap_or(text).trim_start();
    let key = key
        .split_once(':')
        .filter(|(_, value)| value.is_empty() || value.starts_with([' ', '\n', '\r']));
    let known = |key: &str| {
        let lists = ["annotations", "images", "info"];
        rank(&IDS, key)
            .or(rank(&NAMES, key))
            .or(rank(&CAPTIONS, key))
            .or(rank(&lists, key))
            .is_some()
    };
    if ["<!doctype html", "<html", "<head", "<body", "<table"]
        .iter()
        .any(|tag| begins(tag))
    {
        return Some("a web page");
    }
    if begins("<?xml") || begins("<!") {
        return Some("XML");
    }
    let yaml = begins("---\n") || begins("---\r") || begins("%YAML");
    (yaml || key.is_some_and(|(key, _)| known(key))).then_some("YAML")
}

/// Why the text can't be plain text with one caption per line, if so.
fn odd(text: &str) -> Option<&'static str> {
    let lines: Vec<&str> = (text.lines())
        .filter(|line| !line.trim().is_empty())
        .collect();
    let all = |test: &dyn Fn(&str) -> bool| lines.iter().all(|line| test(line));
    if has_ids(&lines) {
        return Some("a table with image ids and an unknown header");
    }
    if all(&|line| line.contains('\t')) || all(&|line| line.contains('|')) {
        return Some("a table without a header");
    }
    if !all(&|line| !line.starts_with("{\"")) {
        return Some("some lines are JSON and others are not");
    }
    let lone = |line: &&str| line.trim_end_matches('\r').contains('\r');
    (lines.iter().any(lone)).then_some("its lines end in carriage returns only")
}

/// Whether all lines, except perhaps a header, have an image's id in the same column.
fn has_ids(lines: &[&str]) -> bool {
    let body = lines.get(1..).filter(|body| !body.is_empty());
    let body = body.unwrap_or(lines);
    let is_id = |field: &str| {
        let field = field.trim().trim_matches('"');
        field.parse::<i64>().is_ok() || photograph(field).is_some()
    };
    let column = |delimiter: char, column: usize| {
        let field = |line: &&str| line.split(delimiter).nth(column).is_some_and(is_id);
        let last = |line: &&str| line.rsplit(delimiter).next().is_some_and(is_id);
        let several = body.iter().all(|line| line.contains(delimiter));
        several && (body.iter().all(field) || body.iter().all(last))
    };
    let name = |line: &&str| photograph(line.split(' ').next().unwrap_or_default()).is_some();
    body.iter().all(name)
        || [',', ';', '|', '\t', ':']
            .iter()
            .any(|d| (0..8).any(|n| column(*d, n)))
}
