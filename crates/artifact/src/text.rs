//! Text from outside on the terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with its control characters written out (`\u{1b}`), so that no name of
/// a file and no caption moves the cursor, colours or clears the terminal. Line
/// breaks and tabs are control characters, too; so are the marks that turn the
/// direction of writing, which make a name look like another one.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, &[])
}

/// As [`escaped`], but for the characters in `kept`.
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
}
