//! Splits text into tokens: finds the longest match at each position.

use super::alphabet::class;
use super::automaton::{expand, patterns};
use super::rules::{Action, Context, RULES};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, PatternID};
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::LazyLock;

/// The automaton of all rules; and, for the rules whose token's length depends on what
/// follows, one with token and context as separate patterns.
static AUTOMATA: LazyLock<[DFA; 2]> = LazyLock::new(|| {
    let parts = RULES.iter().flat_map(|rule| match rule.context {
        Context::Any(after) => vec![expand(rule.pattern), expand(after)],
        _ => Vec::new(),
    });
    [
        automaton(&patterns(), false),
        automaton(&parts.collect::<Vec<_>>(), true),
    ]
});

#[expect(
    clippy::expect_used,
    reason = "the patterns are constants of the rules"
)]
fn automaton(patterns: &[String], one_by_one: bool) -> DFA {
    DFA::builder()
        .configure(
            DFA::config()
                .match_kind(MatchKind::All)
                .starts_for_each_pattern(one_by_one)
                .cache_capacity(16 << 20),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().utf8(false))
        .build_many(patterns)
        .expect("every rule is a regular expression")
}

thread_local! {
    static CACHES: RefCell<[Cache; 2]> = RefCell::new([
        AUTOMATA[0].create_cache(),
        AUTOMATA[1].create_cache(),
    ]);
}

/// Captions as the lines of one file, with the classes of its characters.
pub(super) struct Text {
    text: String,
    /// Empty if the text is ASCII: its bytes are the classes.
    classes: Vec<u8>,
    /// The end of each line, including its line break, in bytes and in characters.
    ends: Vec<[usize; 2]>,
}

impl Text {
    pub(super) fn new<C: AsRef<str>>(captions: &[C]) -> Text {
        let mut text = String::with_capacity(captions.iter().map(|c| c.as_ref().len() + 1).sum());
        let mut ends = Vec::with_capacity(captions.len());
        let mut characters = 0;
        for caption in captions {
            let begin = text.len();
            text.push_str(caption.as_ref());
            if text[begin..].contains('\n') {
                let line = text.split_off(begin);
                text.push_str(&line.replace('\n', " "));
            }
            text.push('\n');
            characters += text[begin..].chars().count();
            ends.push([text.len(), characters]);
        }
        text.pop();
        let classes = match text.is_ascii() {
            true => Vec::new(),
            false => text.chars().map(class).collect(),
        };
        Text {
            text,
            classes,
            ends,
        }
    }

    pub(super) fn lines(&self) -> usize {
        self.ends.len()
    }

    /// Calls `token` with each token of some lines and the number of the line in which it
    /// begins. Returns whether the last token ends where these lines end.
    pub(super) fn tokens(&self, lines: Range<usize>, mut token: impl FnMut(usize, &str)) -> bool {
        let begin = |line: usize| match line.checked_sub(1) {
            Some(before) => self.ends[before],
            None => [0, 0],
        };
        let classes = match self.classes.as_slice() {
            [] => self.text.as_bytes(),
            classes => classes,
        };
        let mut line = lines.start;
        let [mut place, mut at] = begin(line);
        let end = begin(lines.end)[1].min(classes.len());
        CACHES.with_borrow_mut(|[rules, parts]| {
            while at < end {
                while self.ends[line][1] <= at {
                    line += 1;
                }
                if let Some(length) = plain(&classes[at..]) {
                    if length > 0 {
                        token(line, &self.text[place..place + length]);
                    }
                    // Skip the blank after it, too.
                    place += length + 1;
                    at += length + 1;
                    continue;
                }
                let (rule, length) = longest(rules, &classes[at..]);
                let length = match RULES[rule].context {
                    Context::No => length,
                    Context::Fixed(after, _) => length - after,
                    Context::Any(_) => head(parts, rule, &classes[at..at + length]),
                };
                let action = RULES[rule].action;
                let (said, read) = extent(action, length);
                let rest = &self.text[place..];
                if let Some(written) = write(action, &rest[..bytes(rest, said)]) {
                    token(line, &written);
                }
                place += bytes(rest, read);
                at += read;
            }
        });
        at == end
    }
}

/// A fast path for most of a caption: the length of a run of ASCII letters (or of nothing)
/// before a blank. The rules make it one token, except for a few words that they split in
/// two.
fn plain(classes: &[u8]) -> Option<usize> {
    let length = classes.iter().position(|c| !c.is_ascii_alphabetic())?;
    let two = |word: &[u8]| {
        let words: [&[u8]; 6] = [b"cannot", b"gonna", b"gotta", b"lemme", b"gimme", b"wanna"];
        words.iter().any(|two| two.eq_ignore_ascii_case(word))
    };
    (classes[length] == b' ' && !two(&classes[..length])).then_some(length)
}

/// Number of bytes of the first `characters` characters of a text.
fn bytes(text: &str, characters: usize) -> usize {
    match text.as_bytes().get(..characters) {
        Some(begin) if begin.is_ascii() => characters,
        _ => text.chars().take(characters).map(char::len_utf8).sum(),
    }
}

/// The rule with the longest match at the start of `classes`, and the match's length.
#[expect(
    clippy::expect_used,
    reason = "the automaton may clear its cache as often as it likes, and the last rule matches any character"
)]
fn longest(cache: &mut Cache, classes: &[u8]) -> (usize, usize) {
    let input = Input::new(classes).anchored(Anchored::Yes);
    let found = AUTOMATA[0].try_search_fwd(cache, &input);
    let found = found.expect("it never gives up");
    let found = found.expect("a rule matches");
    (found.pattern().as_usize(), found.offset().max(1))
}

/// The length of the token within a match of a rule with [`Context::Any`].
#[expect(
    clippy::expect_used,
    reason = "the automaton may clear its cache as often as it likes, and what a rule matches is its token and what follows"
)]
fn head(cache: &mut Cache, rule: usize, matched: &[u8]) -> usize {
    let earlier = RULES[..rule].iter();
    let any = earlier.filter(|rule| matches!(rule.context, Context::Any(_)));
    let pattern = 2 * any.count();
    let mut is = |pattern: usize, part: &[u8]| {
        let anchored = Anchored::Pattern(PatternID::must(pattern));
        let found = AUTOMATA[1].try_search_fwd(cache, &Input::new(part).anchored(anchored));
        let found = found.expect("it never gives up");
        found.is_some_and(|found| found.offset() == part.len())
    };
    let ends = (1..matched.len()).rev();
    let mut ends =
        ends.filter(|&end| is(pattern + 1, &matched[end..]) && is(pattern, &matched[..end]));
    ends.next().expect("a token and what follows")
}

/// How much of a match belongs to the token, and how much is consumed.
fn extent(action: Action, length: usize) -> (usize, usize) {
    match action {
        Action::Again(again) => (length - again, length - again),
        Action::Acronym if length == 2 => (1, 1),
        Action::Acronym | Action::Stop => (length, length - 1),
        _ => (length, length),
    }
}

/// The token that a match becomes; `None` if it is skipped.
fn write(action: Action, text: &str) -> Option<Cow<'_, str>> {
    Some(match action {
        Action::Skip => return None,
        Action::Token | Action::Again(_) | Action::Stop | Action::Acronym => text.into(),
        Action::Word if text.contains('\u{AD}') => match text.replace('\u{AD}', "") {
            word if word.is_empty() => "-".into(),
            word => word.into(),
        },
        Action::Word => text.into(),
        Action::Closing => quotes(text, "'", "''"),
        Action::Opening => quotes(text, "`", "``"),
        Action::Spaced => text.replace(' ', "\u{A0}").into(),
        Action::Bracketed => text.replace('(', "-LRB-").replace(')', "-RRB-").into(),
        Action::Phone => {
            let text = text.replace(' ', "\u{A0}");
            text.replace('(', "-LRB-").replace(')', "-RRB-").into()
        }
        Action::Ampersand => ampersands(text),
        Action::Instead(other) => other.into(),
        Action::Dashes if (3..=4).contains(&text.len()) => "--".into(),
        Action::Dashes => text.into(),
        Action::Fraction => match text {
            "¼" => "1/4".into(),
            "½" => "1/2".into(),
            "¾" => "3/4".into(),
            "⅓" => "1/3".into(),
            "⅔" => "2/3".into(),
            _ => text.into(),
        },
        Action::Currency => match text {
            "¢" => "cents".into(),
            "£" => "#".into(),
            "\u{80}" | "¤" | "₠" | "€" => "$".into(),
            _ => text.into(),
        },
    })
}

/// Replaces quotation marks by LaTeX's; marks that are themselves opening or closing stay
/// so.
fn quotes<'a>(text: &'a str, single: &str, double: &str) -> Cow<'a, str> {
    let text = text.replace("&apos;", "'").replace("&quot;", "\"");
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '\'' => out += single,
            '"' => out += double,
            '\u{91}' | '‘' | '‛' | '‹' => out.push('`'),
            '\u{92}' | '’' | '›' => out.push('\''),
            '\u{93}' | '“' | '«' => out += "``",
            '\u{94}' | '”' | '»' => out += "''",
            _ => out.push(c),
        }
    }
    out.into()
}

/// Replaces `&amp;`, in upper or lower case, by `&`.
fn ampersands(text: &str) -> Cow<'_, str> {
    let Some(at) = text.to_ascii_lowercase().find("&amp;") else {
        return text.into();
    };
    let (before, after) = (&text[..at], &text[at + "&amp;".len()..]);
    format!("{before}&{}", ampersands(after)).into()
}
