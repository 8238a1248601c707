//! METEOR's option `-norm`: splits a line into words.
//!
//! The tool rewrites the line with one regular expression after another. Here each is a
//! pass over the characters, in the same order and with the same quirk: a match consumes
//! its characters, so that in `a-b-c` only the first hyphen is found between two letters.

/// When a full stop belongs to the abbreviation before it.
pub(super) enum Abbreviation {
    Always,
    BeforeNumbers,
}

/// The words of a line, in lower case.
pub(super) fn words(
    line: &str,
    abbreviation: impl Fn(&str) -> Option<Abbreviation>,
) -> Vec<String> {
    if plain(line.as_bytes()) {
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
    let mut line = String::with_capacity(text.len() + 8);
    for (i, token) in tokens.iter().enumerate() {
        let next = tokens.get(i + 1).copied().unwrap_or_default();
        match final_stop(token, next, &abbreviation) {
            Stop::None | Stop::Kept => line.push_str(token),
            Stop::Acronym => line.extend(token.chars().filter(|&c| c != '.')),
            Stop::SetApart(word) => line.extend([word, " ."]),
        }
        line.push(' ');
    }
    let line = line.trim_matches(|c| c <= ' ' || blank(c));
    let words = line.split(blank).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether a line has only lower-case ASCII letters, digits and blanks, as most captions: then
/// normalisation changes nothing.
pub(super) fn plain(line: &[u8]) -> bool {
    line.iter()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b' '))
}

/// Puts blanks around each character that is no letter, digit or common mark, and around
/// two or more dots in a row.
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

/// Puts blanks around commas, except within numbers.
fn commas(text: Vec<char>) -> Vec<char> {
    let text = between(&text, not_digit, ',', not_digit, " , ");
    let text = between(&text, digit, ',', not_digit, " , ");
    between(&text, not_digit, ',', digit, " , ")
}

/// Replaces all apostrophes by one kind, and likewise quotation marks and dashes.
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

/// Puts a blank before an apostrophe within a word, and blanks around any other.
fn contractions(text: Vec<char>) -> Vec<char> {
    let text = between(&text, not_letter, '\'', not_letter, " ' ");
    let text = between(&text, not_alphanumeric, '\'', letter, " ' ");
    let text = between(&text, letter, '\'', not_letter, " ' ");
    let text = between(&text, letter, '\'', letter, " '");
    between(&text, digit, '\'', |c| c == 's', " '")
}

/// Replaces `mark` between characters of two classes.
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

/// The role of a full stop at the end of a token.
enum Stop<'a> {
    /// There is none, or there are several.
    None,
    /// One of several, as in `u.s.`: all are removed.
    Acronym,
    /// It belongs to an abbreviation, or seems to.
    Kept,
    /// It becomes a word of its own after this one.
    SetApart(&'a str),
}

fn final_stop<'a>(
    token: &'a str,
    next: &str,
    abbreviation: impl Fn(&str) -> Option<Abbreviation>,
) -> Stop<'a> {
    let Some(word) = token.strip_suffix('.') else {
        return Stop::None;
    };
    if word.bytes().all(|b| b == b'.') {
        return Stop::None;
    }
    if word.contains('.') && word.contains(letter) {
        return Stop::Acronym;
    }
    // a sentence doesn't start with a lower-case letter
    let kept = next.starts_with(|c: char| c.is_ascii_lowercase())
        || match abbreviation(word) {
            Some(Abbreviation::Always) => true,
            Some(Abbreviation::BeforeNumbers) => next.starts_with(digit),
            None => false,
        };
    if kept {
        Stop::Kept
    } else {
        Stop::SetApart(word)
    }
}

/// Letters of the languages that METEOR supports.
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

/// White space in the tool's regular expressions.
fn white(c: char) -> bool {
    separator(c) || c == '\u{b}'
}

/// White space that separates tokens.
fn separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// Further white space that separates words in the end.
fn blank(c: char) -> bool {
    separator(c)
        || matches!(
            c,
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(word: &str) -> Option<Abbreviation> {
        match word {
            "Mr" => Some(Abbreviation::Always),
            "No" => Some(Abbreviation::BeforeNumbers),
            _ => None,
        }
    }

    /// The expected words come from the tool's own normaliser.
    #[test]
    fn lines_become_words() {
        for (line, expected) in [
            ("", ""),
            ("a dog", "a dog"),
            ("The DOG", "the dog"),
            ("t-shirt", "t shirt"),
            ("a-b-c", "a b-c"),
            ("--a---b-", "-a--b-"),
            ("dog's", "dog 's"),
            ("it 's", "it ' s"),
            ("n't", "n 't"),
            ("1's 5's", "1 's 5 's"),
            ("' a '", "' a '"),
            ("'' a ``", "\" a \""),
            ("\u{201c}a\u{201d} \u{2018}b\u{2019}", "\" a \" ' b '"),
            ("u.s. e.g.", "us eg"),
            ("dog.", "dog ."),
            ("dog. runs", "dog. runs"),
            ("dog. Runs", "dog . runs"),
            ("Mr. Dog", "mr. dog"),
            ("mr. Dog", "mr . dog"),
            ("No. 5", "no. 5"),
            ("No. Dog", "no . dog"),
            ("No.", "no ."),
            ("a...b ..", "a ... b .."),
            ("1,000", "1,000"),
            ("a,b", "a , b"),
            ("a,b,c", "a , b,c"),
            ("5,a a,5", "5 , a a , 5"),
            (", , ,b", ", , , b"),
            ("50%(off)", "50 % ( off )"),
            ("a|b", "a | b"),
            ("\u{2013}5", "- 5"),
            (
                "\u{4e00}\u{4e8c} \u{e9}\u{1f600}",
                "\u{4e00} \u{4e8c} \u{e9} \u{1f600}",
            ),
            ("a\u{3000}b\u{a0}c\u{2003}", "a b c"),
            ("\u{a0}\u{b} a\u{b}", "a"),
            ("3.5 a.b 3.a.", "3.5 a.b 3a"),
            (
                "\u{160}\u{178}\u{17e}\u{c6} \u{416}\u{434}",
                "\u{161}\u{ff}\u{17e}\u{e6} \u{436}\u{434}",
            ),
            ("\u{391}\u{3a3}", "\u{3b1} \u{3c3}"),
        ] {
            assert_eq!(words(line, known).join(" "), expected, "{line:?}");
        }
    }
}
