//! Reads the text of a config.

use crate::{Error, Result};
use std::io::ErrorKind;
use std::path::Path;
use toml::Table;

/// Reads a TOML file; returns its text and its content.
///
/// # Errors
/// [`Error::Usage`] with the file's name, the line and what to do.
pub fn read(path: &Path) -> Result<(String, Table)> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|e| {
        Error::usage(match e.kind() {
            ErrorKind::NotFound => format!("{name}: no such file"),
            ErrorKind::IsADirectory => format!("{name}: is a folder; name a file in it"),
            _ => format!("{name}: {e}"),
        })
    })?;
    let text = text(&bytes).map_err(|(line, why)| {
        Error::usage(match line {
            Some(line) => format!("{name}:{line}: {why}"),
            None => format!("{name}: {why}"),
        })
    })?;
    let table = text.parse().map_err(|e: toml::de::Error| {
        let why = other_format(&text).map_or_else(|| e.to_string(), str::to_owned);
        Error::usage(format!("{name}: {}", why.trim_end()))
    })?;
    Ok((text, table))
}

/// The text of a file, without a byte order mark; the error is the line, if known, and what
/// is wrong.
fn text(bytes: &[u8]) -> Result<String, (Option<usize>, String)> {
    const SAVE: &str = "save the file as UTF-8";
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err((None, "the file is empty".into()));
    }
    // ASCII in UTF-16 has a zero in every other byte, with or without a byte order mark.
    let marked = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    if marked || matches!(bytes, [0, _, ..] | [_, 0, ..]) {
        return Err((None, format!("this is UTF-16; {SAVE}")));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let (good, bad) = bytes.split_at(e.valid_up_to());
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let bad = bad.first().copied().unwrap_or_default();
        let why = format!("the byte 0x{bad:02x} is not UTF-8 (Latin-1?); {SAVE}");
        (Some(line), why)
    })?;
    Ok(text.to_owned())
}

/// For text that is not TOML: a message that names its format, if it is JSON or YAML.
fn other_format(text: &str) -> Option<&'static str> {
    if serde_json::from_str::<serde_json::Value>(text).is_ok() {
        return Some("this is JSON; a config is TOML: [section] and, below it, key = value");
    }
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let key = first.split(": ").next()?.trim_end_matches(':');
    let yaml = first == "---" || (key.len() < first.len() && !key.contains(['=', '[', '"', ' ']));
    yaml.then_some("this is YAML; a config is TOML: [section] and, below it, key = value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], end: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, bytes).unwrap();
        let why = read(&path).unwrap_err().to_string();
        let why = why.strip_prefix(path.to_str().unwrap()).unwrap();
        assert!(why.starts_with(end), "{why}");
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, b"\xef\xbb\xbf[train]\r\nepochs = 3\r\n").unwrap();
        let (text, table) = read(&path).unwrap();
        assert!(text.starts_with("[train]"));
        assert_eq!(table["train"]["epochs"].as_integer(), Some(3));
    }

    #[test]
    fn what_is_no_utf_8_is_named_with_line_and_way_out() {
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let plain: Vec<u8> = utf_16("[train]\n");
        refused(&plain, ": this is UTF-16; save the file as UTF-8");
        let marked = [b"\xff\xfe", &plain[..]].concat();
        refused(&marked, ": this is UTF-16; save");
        let big: Vec<u8> = "\u{feff}[train]"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        refused(&big, ": this is UTF-16; save");
        refused(
            b"[run]\nname = \"caf\xe9\"\n",
            ":2: the byte 0xe9 is not UTF-8 (Latin-1?); save the file as UTF-8",
        );
    }

    #[test]
    fn what_is_no_config_is_named() {
        refused(b"", ": the file is empty");
        refused(b"\xef\xbb\xbf \n", ": the file is empty");
        refused(b"{\"train\": {\"epochs\": 3}}", ": this is JSON;");
        refused(b"# a\ntrain:\n  epochs: 3\n", ": this is YAML;");
        refused(b"epochs: 3\n", ": this is YAML;");
        refused(b"---\na: 1\n", ": this is YAML;");
        refused(b"[train\n", ": TOML parse error at line 1");
        let why = |path: &Path| read(path).unwrap_err().to_string();
        let folder = tempfile::tempdir().unwrap();
        assert!(why(folder.path()).ends_with(": is a folder; name a file in it"));
        assert!(why(&folder.path().join("none.toml")).ends_with("none.toml: no such file"));
    }
}
