//! Tokenisers: split a caption's text into the words that scores count.
//!
//! - [`ptb`], [`ptb_lines`], [`ptb_joined`]: the Penn Treebank rules of the COCO tool, whose
//!   scores everybody reports. `rules` holds them, in terms of the classes of `alphabet`;
//!   `automaton` writes them as patterns, with which `lexer` finds tokens.
//! - [`simple()`]: the rule behind published Karpathy splits.

mod alphabet;
mod automaton;
mod lexer;
mod rules;

use crate::parallel::{cores, in_parts};
use std::ops::Range;

/// The tokens that the COCO tool drops as punctuation. It also tries to drop brackets, but
/// by names in capitals, after lower-casing everything: so `-lrb-` stays a word.
const PUNCTUATION: [&str; 13] = [
    "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";",
];

/// The words that the COCO tool scores: the tokens of Stanford's `PTBTokenizer`,
/// version 3.4.1, in lower case and without punctuation.
///
/// Reads the caption as the last line of a file; [`ptb_lines`] reads a whole file.
///
/// ```
/// use attend_metrics::tokens::ptb;
/// assert_eq!(ptb("A man's T-shirt."), ["a", "man", "'s", "t-shirt"]);
/// assert_eq!(ptb("It cannot (yet) fly"), ["it", "can", "not", "-lrb-", "yet", "-rrb-", "fly"]);
/// ```
#[expect(clippy::expect_used, reason = "each caption has its list of words")]
pub fn ptb(caption: &str) -> Vec<String> {
    ptb_lines(&[caption]).pop().expect("one caption")
}

/// The words of each caption if the captions are the lines of one file, as the COCO tool
/// passes them to its tokeniser.
///
/// The words of a caption are nearly always those of [`ptb`]. But the rules look at what
/// follows, even in the next line: the last word of `Plan B.` is `b.`, but `b` if the next
/// line begins with a word like `The`.
///
/// There are two differences from the tool. If a capital Σ ends a word, Java sometimes
/// lower-cases it to σ instead of ς. Line breaks inside a caption are blanks here; the tool
/// takes some of them for ends of captions, and then gives every later caption the words of
/// another one.
pub fn ptb_lines<C: AsRef<str>>(captions: &[C]) -> Vec<Vec<String>> {
    on_all_cores(captions, |words: &mut Vec<String>, word| {
        words.push(word.to_owned());
    })
}

/// The words of [`ptb_lines`], joined by blanks.
///
/// ```
/// use attend_metrics::tokens::ptb_joined;
/// assert_eq!(ptb_joined(&["A man's T-shirt.", ""]), ["a man 's t-shirt", ""]);
/// ```
pub fn ptb_joined<C: AsRef<str>>(captions: &[C]) -> Vec<String> {
    on_all_cores(captions, |words: &mut String, word| {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    })
}

/// What `add` makes of the words of each caption.
fn on_all_cores<C: AsRef<str>, T: Clone + Default + Send>(
    captions: &[C],
    add: impl Fn(&mut T, &str) + Sync,
) -> Vec<T> {
    let file = File::new(captions);
    let captions = captions.len();
    let on_threads = |threads: usize| {
        in_parts(captions, threads, |part| {
            let mut words = vec![T::default(); part.len()];
            let whole = file.words(part.clone(), |caption, word| {
                add(&mut words[caption - part.start], word);
            });
            (words, whole || part.end == captions)
        })
    };
    let mut parts = on_threads(cores());
    if parts.iter().any(|(_, whole)| !whole) {
        parts = on_threads(1);
    }
    parts.into_iter().flat_map(|(words, _)| words).collect()
}

/// Captions in the form that the tool reads: the lines of one file.
pub(crate) struct File(lexer::Text);

impl File {
    pub(crate) fn new<C: AsRef<str>>(captions: &[C]) -> File {
        File(lexer::Text::new(captions))
    }

    /// Number of captions.
    pub(crate) fn captions(&self) -> usize {
        self.0.lines()
    }

    /// Calls `word` with the words of some of the captions. Returns whether the last token
    /// ends where these captions end, as it nearly always does: only a tag in angle brackets
    /// may continue across a line break.
    pub(crate) fn words(&self, captions: Range<usize>, mut word: impl FnMut(usize, &str)) -> bool {
        // The white space at the end of a caption's last token is trimmed, so each token
        // waits until the next one shows whether it was the last.
        let mut waiting = (0, String::new());
        let mut say = |caption: usize, token: &str| {
            for token in token.split(' ') {
                if !token.is_empty() && !PUNCTUATION.contains(&token) {
                    word(caption, token);
                }
            }
        };
        let whole = self.0.tokens(captions, |caption, token| {
            let (before, last) = &mut waiting;
            if *before == caption {
                say(caption, last);
            } else {
                say(*before, last.trim_end());
            }
            last.clear();
            if token.is_ascii() {
                last.push_str(token);
                last.make_ascii_lowercase();
            } else {
                last.push_str(&token.to_lowercase());
            }
            *before = caption;
        });
        say(waiting.0, waiting.1.trim_end());
        whole
    }
}

/// The simple rule: lower-cases, deletes apostrophes, and splits at every other character
/// that is neither a letter nor a digit.
///
/// `"A man's T-shirt."` becomes `a`, `mans`, `t`, `shirt`. Letters and digits are
/// Unicode's ([`char::is_alphanumeric`]); only `'` (U+0027) is an apostrophe. Karpathy's
/// `dataset_*.json` files hold exactly these words as `tokens`. This is not the Penn
/// Treebank rule of the official COCO tool, so its scores only approximate the tool's.
///
/// ```
/// use attend_metrics::tokens::simple;
/// assert_eq!(simple("A man's T-shirt."), ["a", "mans", "t", "shirt"]);
/// assert_eq!(simple("Ein Hündchen — schläft…"), ["ein", "hündchen", "schläft"]);
/// assert!(simple(" . ").is_empty());
/// ```
pub fn simple(caption: &str) -> Vec<String> {
    caption
        .to_lowercase()
        .replace('\'', "")
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}
