//! Compares the Penn Treebank tokeniser with the real tool's tokens.
#![allow(clippy::unwrap_used)]

use attend_metrics::tokens::{ptb, ptb_lines};
use proptest::prelude::*;

/// `fixtures/tokens.py` made the expected tokens with pycocoevalcap 1.2. The lines are one
/// file: the tokens of some depend on the line that follows.
#[test]
fn equals_the_coco_tool() {
    let rows: Vec<(String, Vec<String>)> =
        serde_json::from_str(include_str!("fixtures/tokens.json")).unwrap();
    let lines: Vec<&str> = rows.iter().map(|(line, _)| line.as_str()).collect();
    for ((line, expected), words) in rows.iter().zip(ptb_lines(&lines)) {
        assert_eq!(&words, expected, "{line:?}");
    }
}

#[test]
fn the_next_caption_can_matter() {
    let last = |captions: &[&str]| ptb_lines(captions)[0].last().unwrap().clone();
    assert_eq!(last(&["Plan B.", "The end"]), "b");
    assert_eq!(last(&["Plan B.", "An end"]), "b");
    assert_eq!(last(&["Plan B.", "Rainy days"]), "b.");
    assert_eq!(ptb("Plan B."), ["plan", "b."]);
}

#[test]
fn there_may_be_nothing_to_say() {
    assert!(ptb_lines::<&str>(&[]).is_empty());
    assert_eq!(
        ptb_lines(&["", " . ", "\u{1}"]),
        vec![Vec::<String>::new(); 3]
    );
}

proptest! {
    #[test]
    fn any_text_becomes_words(lines in prop::collection::vec(any::<String>(), 0..4)) {
        let words = ptb_lines(&lines);
        prop_assert_eq!(words.len(), lines.len());
        for word in words.iter().flatten() {
            prop_assert!(!word.is_empty() && !word.contains(' '));
        }
    }

    /// Printable ASCII loses only punctuation and blanks.
    #[test]
    fn letters_and_digits_stay(line in "[ -~]{0,40}") {
        let kept = |text: &str| -> String {
            text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
        };
        prop_assume!(!line.contains(['&', '(', ')', '[', ']', '{', '}']));
        prop_assert_eq!(kept(&ptb(&line).concat()), kept(&line));
    }
}
