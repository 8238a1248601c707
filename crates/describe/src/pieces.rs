//! Pieces of words: a vocabulary may hold `walk` and `##ing` instead of `walking`.
//!
//! No tokenizer of the contract makes a word with `#`, so that the mark is no word's own.

/// The begin of a token that continues the one before it.
const PIECE: &str = "##";

/// A word of a caption, of one token or of several pieces.
#[derive(Debug, PartialEq)]
pub(crate) struct Word {
    pub text: String,
    /// The sum over its pieces.
    pub log_prob: f64,
    /// The mean over its pieces.
    pub alpha: Vec<f32>,
}

/// The words that tokens of a vocabulary make: a piece is appended to the token before it.
pub fn words<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let word = |text: &str| Word {
        text: text.to_owned(),
        log_prob: 0.0,
        alpha: Vec::new(),
    };
    let words = joined(tokens.into_iter().map(word));
    words.into_iter().map(|word| word.text).collect()
}

/// The words of these tokens, with probability and attention.
pub(crate) fn joined(tokens: impl IntoIterator<Item = Word>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut pieces = 1.0;
    for token in tokens {
        let (Some(rest), Some(word)) = (token.text.strip_prefix(PIECE), words.last_mut()) else {
            words.push(token);
            pieces = 1.0;
            continue;
        };
        word.text.push_str(rest);
        word.log_prob += token.log_prob;
        pieces += 1.0;
        for (mean, alpha) in word.alpha.iter_mut().zip(token.alpha) {
            *mean += (alpha - *mean) / pieces;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{Word, joined};

    fn word(text: &str, log_prob: f64, alpha: [f32; 2]) -> Word {
        Word {
            text: text.into(),
            log_prob,
            alpha: alpha.into(),
        }
    }

    #[test]
    fn pieces_make_one_word_with_their_probability_and_mean_attention() {
        let tokens = [
            word("a", -0.5, [1.0, 0.0]),
            word("un", -1.0, [1.0, 0.0]),
            word("##know", -0.5, [0.25, 0.75]),
            word("##n", -0.25, [0.25, 0.75]),
            word("dog", -2.0, [0.0, 1.0]),
        ];
        let words = [
            word("a", -0.5, [1.0, 0.0]),
            word("unknown", -1.75, [0.5, 0.5]),
            word("dog", -2.0, [0.0, 1.0]),
        ];
        assert_eq!(joined(tokens), words);
    }

    #[test]
    fn a_caption_may_begin_with_a_piece() {
        let tokens = || {
            [
                word("##ing", 0.0, [1.0, 0.0]),
                word("<unk>", 0.0, [0.0, 1.0]),
            ]
        };
        assert_eq!(joined(tokens()), tokens());
    }
}
