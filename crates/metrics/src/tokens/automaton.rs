//! Writes the rules out as patterns for the automaton that finds the longest match.

use super::alphabet::CLASSES;
use super::rules::{Context, PARTS, RULES};

/// The patterns of all rules, including the contexts that must follow.
pub(super) fn patterns() -> Vec<String> {
    let whole = RULES.iter().map(|rule| match rule.context {
        Context::No => rule.pattern.to_owned(),
        Context::Fixed(_, after) | Context::Any(after) => {
            format!("({})({after})", rule.pattern)
        }
    });
    whole.map(|pattern| expand(&pattern)).collect()
}

/// Expands a pattern into a regular expression over bytes.
pub(super) fn expand(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    let mut in_brackets = false;
    while let Some(c) = rest.chars().next() {
        let name = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_lowercase()));
        if let Some((name, after)) = name {
            out += &named(name);
            rest = after;
            continue;
        }
        let taken = match c {
            '\\' if rest.starts_with("\\x") => 4,
            '\\' => 2,
            _ => 1,
        };
        let (piece, after) = rest.split_at(taken);
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        if c.is_ascii_alphabetic() && !in_brackets {
            out += &without_case(c);
        } else {
            out += piece;
        }
        rest = after;
    }
    out
}

#[expect(clippy::expect_used, reason = "the names are constants of the rules")]
fn named(name: &str) -> String {
    if let Some(class) = CLASSES.iter().position(|known| *known == name) {
        return format!("\\x{:02X}", 0x80 + class);
    }
    let part = PARTS.iter().find(|(known, _)| *known == name);
    let (_, part) = part.expect("a rule names classes and parts only");
    format!("({})", expand(part))
}

fn without_case(c: char) -> String {
    let more = match c.to_ascii_lowercase() {
        's' => named("longs"),
        'k' => named("kelvin"),
        'i' => named("dottedi") + &named("dotlessi"),
        _ => String::new(),
    };
    format!(
        "[{}{}{more}]",
        c.to_ascii_lowercase(),
        c.to_ascii_uppercase()
    )
}
