//! Makes untrusted text safe for the terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes control characters (`\u{1b}`), so that file names and captions can't move the
/// cursor, or colour or clear the terminal. Also escapes line breaks, tabs, and the marks
/// of writing direction, which can make a name look like another one.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, &[])
}

/// Like [`escaped`], except for the characters in `kept`.
pub fn escaped_but<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let hostile = |c: char| is_hostile(c) && !kept.contains(&c);
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' if hostile(c) => safe.push_str("\\n"),
            '\r' if hostile(c) => safe.push_str("\\r"),
            '\t' if hostile(c) => safe.push_str("\\t"),
            c if hostile(c) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// A message: like [`escaped`], but it may have several lines. Those after
/// the first are indented, so that none of them looks like another message.
pub fn message(text: &str) -> String {
    escaped_but(text.trim_end(), &['\n']).replace('\n', "\n  ")
}

/// A time of so many seconds: `7 s`, `12 min`, `3 h 5 min`.
pub fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A size of so many bytes: `900 B`, `1.2 kB`, `350 MB`.
pub fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB"] {
        if size < 999.5 {
            let digits = usize::from(size < 99.95 && unit != "B");
            return format!("{size:.digits$} {unit}");
        }
        size /= 1e3;
    }
    format!("{size:.1} GB")
}

/// Bytes as lowercase hexadecimal digits.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// Escapes control characters in JSON as JSON does (`\u009b`), so that its value stays the
/// same.
pub fn json(json: &str) -> Cow<'_, str> {
    // Line breaks in strings are escaped already; those between values may stay.
    let hostile = |c: char| is_hostile(c) && c != '\n';
    if !json.contains(hostile) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if hostile(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out_and_no_others() {
        assert_eq!(
            escaped("a\u{1b}[2Jb\tc\nd\u{9b}e\u{202e}f"),
            "a\\u{1b}[2Jb\\tc\\nd\\u{9b}e\\u{202e}f"
        );
        assert_eq!(escaped_but("a\nb\u{7}", &['\n']), "a\nb\\u{7}");
        assert!(matches!(escaped("한국 ü 🙂"), Cow::Borrowed(_)));
    }

    #[test]
    fn sizes_have_the_unit_that_they_are_read_in() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (400_000, "400 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (78_300_000, "78.3 MB"),
            (13_510_573_713, "13.5 GB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn no_second_line_passes_for_a_message() {
        assert_eq!(
            message("a.jpg\nerror: \u{1b}[31mx\n"),
            "a.jpg\n  error: \\u{1b}[31mx"
        );
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "a\u{7f}": "\u{9b}2J\u{1b}\t\n\u{202e}ü" });
        let text = format!("{value:#}");
        let safe = json(&text);
        assert!(!safe.contains(|c| is_hostile(c) && c != '\n'), "{safe}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            value
        );
    }
}
