//! Tokenisers: from a caption's text to the words that scores count.
//!
//! - [`ptb`], [`ptb_lines`]: the Penn Treebank rules of the COCO tool, whose
//!   scores everybody reports.
//! - [`simple()`]: the rule behind published Karpathy splits.

mod alphabet;
mod automaton;
mod lexer;
mod rules;

use std::ops::Range;

/// What the COCO tool counts as punctuation. It looks for brackets by their names
/// in capitals after everything was put in lower case: `-lrb-` stays a word.
const PUNCTUATION: [&str; 13] = [
    "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";",
];

/// The words that the COCO tool scores: the tokens of Stanford's `PTBTokenizer`,
/// version 3.4.1, in lower case and without punctuation.
///
/// A caption is read as the last of a file; [`ptb_lines`] reads a whole file.
///
/// ```
/// use attend_metrics::tokens::ptb;
/// assert_eq!(ptb("A man's T-shirt."), ["a", "man", "'s", "t-shirt"]);
/// assert_eq!(ptb("It cannot (yet) fly"), ["it", "can", "not", "-lrb-", "yet", "-rrb-", "fly"]);
/// ```
pub fn ptb(caption: &str) -> Vec<String> {
    ptb_lines(&[caption]).pop().unwrap_or_default()
}

/// The words of each caption, where the captions are the lines of one file, as
/// the COCO tool hands them to its tokeniser.
///
/// Nearly always the words of a caption are those of [`ptb`]. But the rules look
/// at what follows, the next line too: of `Plan B.` the last word is `b.`, and
/// `b` where the next line begins with a word like `The`.
///
/// One thing differs: where a capital Σ ends a word, Java's lower case sometimes
/// has σ for ς. Line breaks inside a caption are blanks here. (The tool takes some
/// of them for ends of captions, and gives every later caption the words of
/// another.)
pub fn ptb_lines<C: AsRef<str>>(captions: &[C]) -> Vec<Vec<String>> {
    let mut words = vec![Vec::new(); captions.len()];
    File::new(captions).words(0..captions.len(), |caption, word| {
        words[caption].push(word.to_owned());
    });
    words
}

/// Captions as the tool reads them: the lines of one file.
pub(crate) struct File(lexer::Text);

impl File {
    pub(crate) fn new<C: AsRef<str>>(captions: &[C]) -> File {
        File(lexer::Text::new(captions))
    }

    /// How many captions there are.
    pub(crate) fn captions(&self) -> usize {
        self.0.lines()
    }

    /// Calls `word` with the words of some of the captions. Says whether the next
    /// caption begins where these end, as it nearly always does: a tag in angle
    /// brackets may go on over a line's end.
    pub(crate) fn words(&self, captions: Range<usize>, mut word: impl FnMut(usize, &str)) -> bool {
        // A caption's last token loses the white space at its end, so that each
        // token waits until another follows.
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

/// The simple rule: lower case, apostrophes deleted, and every other character
/// that is neither letter nor digit separates.
///
/// `"A man's T-shirt."` is `a`, `mans`, `t`, `shirt`. Letters and digits are
/// Unicode's ([`char::is_alphanumeric`]); the apostrophe is `'` (U+0027) alone.
/// Karpathy's `dataset_*.json` files hold exactly these words as `tokens`. It
/// is not the Penn Treebank rule of the official COCO tool, whose scores it
/// therefore only approximates.
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
