//! Lists of captions as the text of one cell: in JSON, or as Python or NumPy print them.

use std::iter::Peekable;
use std::str::Chars;

/// The list that a text is; `None` if it is a caption.
///
/// # Errors
/// What is wrong in the list.
pub fn list(text: &str) -> Option<Result<Vec<String>, String>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    if !(inner.is_empty() || inner.starts_with(['"', '\''])) {
        return None;
    }
    let list = serde_json::from_str(text.trim())
        .ok()
        .or_else(|| python(inner));
    Some(
        list.ok_or_else(|| {
            "a list as text that can't be read; write it in JSON (json.dumps)".into()
        }),
    )
}

/// The strings between the brackets.
fn python(inner: &str) -> Option<Vec<String>> {
    let mut rest = inner.chars().peekable();
    let mut all = Vec::new();
    while let Some(next) = rest.next() {
        match next {
            '\'' | '"' => all.push(string(&mut rest, next)?),
            // NumPy separates strings by spaces.
            ',' => {}
            space if space.is_whitespace() => {}
            _ => return None,
        }
    }
    Some(all)
}

/// The string up to the quote that ends it.
fn string(rest: &mut Peekable<Chars<'_>>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        let next = rest.next()?;
        if next == quote {
            return Some(text);
        }
        if next != '\\' {
            text.push(next);
            continue;
        }
        text.push(match rest.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'x' => code(rest, 2)?,
            'u' => code(rest, 4)?,
            'U' => code(rest, 8)?,
            other => other,
        });
    }
}

/// The character of a hexadecimal code.
fn code(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Option<char> {
    let digits: String = rest.by_ref().take(digits).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn lists_of_json_python_and_numpy() {
        for (text, expected) in [
            (
                r#"["a dog", "it's \"one\""]"#,
                &["a dog", r#"it's "one""#][..],
            ),
            (r#"['a dog', "it's one"]"#, &["a dog", "it's one"]),
            (r"['it\'s', 'caf\xe9 \u2014\n']", &["it's", "café —\n"]),
            ("['a dog'\n 'two, dogs']", &["a dog", "two, dogs"]),
            ("[]", &[]),
        ] {
            assert_eq!(list(text).unwrap().unwrap(), expected, "{text}");
        }
        for caption in [
            "[unk] runs",
            "[a dog]",
            r#"["Stop"] says a sign"#,
            "a dog",
            "[",
        ] {
            assert_eq!(list(caption), None, "{caption}");
        }
        for wrong in [r#"["a dog", 7]"#, "['a dog]", r"['\ud800']", r#"["a" b]"#] {
            assert!(list(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
