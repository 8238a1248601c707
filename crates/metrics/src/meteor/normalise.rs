//! What METEOR's option `-norm` makes of a line: its words.
//!
//! The tool rewrites the line by one regular expression after the other. Here
//! each is a pass over characters, in the same order and with the same habit:
//! a match uses up its characters, so that in `a-b-c` only the first hyphen is
//! seen to stand between two letters.

use super::file::Data;

/// The words of a line, in lower case.
pub(super) fn words(line: &str, data: &Data) -> Vec<String> {
    if line
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b' '))
    {
        // most captions; nothing below would change them
        return line.split_ascii_whitespace().map(String::from).collect();
    }
    let mut text = vec![' '];
    text.extend(line.trim_matches(|c| c <= ' ').chars());
    text.push(' ');
    let text = set_apart(&text);
    let text = quotes_and_dashes(&commas(text));
    let text = contractions(between(&text, alphanumeric_or_dot, '-', alphanumeric, " "));

    let text: String = text.into_iter().collect();
    let tokens: Vec<&str> = text.split(separator).filter(|t| !t.is_empty()).collect();
    let mut words = Vec::with_capacity(tokens.len());
    for (i, token) in tokens.iter().enumerate() {
        let mut add = |text: &str| {
            let parts = text.split(unicode_blank).filter(|part| !part.is_empty());
            words.extend(parts.map(str::to_lowercase));
        };
        match final_stop(token, tokens.get(i + 1).copied(), data) {
            Stop::None | Stop::Kept => add(token),
            Stop::Acronym => add(&token.replace('.', "")),
            Stop::SetApart(word) => {
                add(word);
                add(".");
            }
        }
    }
    words
}

/// Blanks around each character that is no letter, digit or usual mark, and
/// around two or more dots in a row.
fn set_apart(text: &[char]) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() * 2);
    for run in text.chunk_by(|a, b| *a == '.' && *b == '.') {
        let usual = |c| alphanumeric(c) || white(c) || ".'`,-\u{2018}\u{2019}".contains(c);
        if run.len() > 1 || !usual(run[0]) {
            out.push(' ');
            out.extend(run);
            out.push(' ');
        } else {
            out.extend(run);
        }
    }
    out
}

/// Blanks around commas, but for those within numbers.
fn commas(text: Vec<char>) -> Vec<char> {
    let text = between(&text, not_digit, ',', not_digit, " , ");
    let text = between(&text, digit, ',', not_digit, " , ");
    between(&text, not_digit, ',', digit, " , ")
}

/// One kind of apostrophe, one of quotation marks, one of dashes.
fn quotes_and_dashes(text: &[char]) -> Vec<char> {
    let single = |c: &char| match c {
        '`' | '\u{2018}' | '\u{2019}' => '\'',
        '\u{2013}' => '-',
        c => *c,
    };
    let text: Vec<char> = text.iter().map(single).collect();
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            ('\u{201c}' | '\u{201d}', _) => out.extend(" \" ".chars()),
            ('\'', ['\'', tail @ ..]) => {
                rest = tail;
                out.extend(" \" ".chars());
            }
            ('-', ['-', tail @ ..]) => {
                rest = tail;
                out.push('-');
            }
            _ => out.push(*first),
        }
    }
    out
}

/// A blank before an apostrophe within a word, blanks around any other.
fn contractions(text: Vec<char>) -> Vec<char> {
    let text = between(&text, not_letter, '\'', not_letter, " ' ");
    let text = between(&text, not_alphanumeric, '\'', letter, " ' ");
    let text = between(&text, letter, '\'', not_letter, " ' ");
    let text = between(&text, letter, '\'', letter, " '");
    between(&text, digit, '\'', |c| c == 's', " '")
}

/// Replaces `mark` where it stands between characters of two classes.
fn between(
    text: &[char],
    before: impl Fn(char) -> bool,
    mark: char,
    after: impl Fn(char) -> bool,
    replacement: &str,
) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        out.push(*first);
        if let [middle, last, tail @ ..] = tail
            && *middle == mark
            && before(*first)
            && after(*last)
        {
            rest = tail;
            out.extend(replacement.chars());
            out.push(*last);
        }
    }
    out
}

/// What the full stop at the end of a token is.
enum Stop<'a> {
    /// None, or several.
    None,
    /// One of `u.s.`: all of them go.
    Acronym,
    /// That of an abbreviation, or so it seems.
    Kept,
    /// A word of its own, after this one.
    SetApart(&'a str),
}

fn final_stop<'a>(token: &'a str, next: Option<&str>, data: &Data) -> Stop<'a> {
    let Some(word) = token.strip_suffix('.') else {
        return Stop::None;
    };
    if word.bytes().all(|b| b == b'.') {
        return Stop::None;
    }
    if word.contains('.') && word.contains(letter) {
        return Stop::Acronym;
    }
    let next_starts =
        |class: fn(&u8) -> bool| next.is_some_and(|n| n.as_bytes().first().is_some_and(class));
    let kept = data.prefixes().contains(word)
        || next_starts(u8::is_ascii_lowercase)
        || data.numeric_prefixes().contains(word) && next_starts(u8::is_ascii_digit);
    if kept {
        Stop::Kept
    } else {
        Stop::SetApart(word)
    }
}

/// Letters of the languages that METEOR knows.
fn letter(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{17e}' // Latin
        | '\u{400}'..='\u{527}' | '\u{a640}'..='\u{a66e}' | '\u{a67e}'..='\u{a697}' // Cyrillic
        | '\u{1d00}'..='\u{1d7f}') // phonetic
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn alphanumeric(c: char) -> bool {
    letter(c) || digit(c)
}

fn alphanumeric_or_dot(c: char) -> bool {
    alphanumeric(c) || c == '.'
}

fn not_letter(c: char) -> bool {
    !letter(c)
}

fn not_digit(c: char) -> bool {
    !digit(c)
}

fn not_alphanumeric(c: char) -> bool {
    !alphanumeric(c)
}

/// White space to the tool's regular expressions.
fn white(c: char) -> bool {
    separator(c) || c == '\u{b}'
}

/// White space between tokens.
fn separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// White space that, in the end, separates too.
fn unicode_blank(c: char) -> bool {
    separator(c)
        || matches!(
            c,
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
        )
}
