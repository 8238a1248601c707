//! Pieces of words: a vocabulary may hold `walk` and `##ing` instead of `walking`.
//!
//! No tokenizer of the contract makes a word with `#`, so that the mark is no word's own.

/// The begin of a token that continues the one before it.
const PIECE: &str = "##";

/// The words of these tokens with their attention: a piece is appended to the token before it.
/// A word's attention is the mean over its pieces.
pub(crate) fn joined(
    tokens: impl IntoIterator<Item = String>,
    alphas: Vec<Vec<f32>>,
) -> (Vec<String>, Vec<Vec<f32>>) {
    let mut words: Vec<String> = Vec::new();
    let mut means: Vec<Vec<f32>> = Vec::new();
    let mut pieces = 1.0;
    for (token, alpha) in tokens.into_iter().zip(alphas) {
        let rest = token.strip_prefix(PIECE);
        let (Some(rest), Some(word), Some(mean)) = (rest, words.last_mut(), means.last_mut())
        else {
            words.push(token);
            means.push(alpha);
            pieces = 1.0;
            continue;
        };
        word.push_str(rest);
        pieces += 1.0;
        for (mean, alpha) in mean.iter_mut().zip(alpha) {
            *mean += (alpha - *mean) / pieces;
        }
    }
    (words, means)
}

#[cfg(test)]
mod tests {
    use super::joined;

    fn of(tokens: &[&str], alphas: &[[f32; 2]]) -> (Vec<String>, Vec<Vec<f32>>) {
        let alphas = alphas.iter().map(|alpha| alpha.to_vec()).collect();
        joined(tokens.iter().map(|token| (*token).to_owned()), alphas)
    }

    #[test]
    fn pieces_make_one_word_with_their_mean_attention() {
        let tokens = ["a", "un", "##know", "##n", "dog"];
        let alphas = [
            [1.0, 0.0],
            [1.0, 0.0],
            [0.25, 0.75],
            [0.25, 0.75],
            [0.0, 1.0],
        ];
        let (words, means) = of(&tokens, &alphas);
        assert_eq!(words, ["a", "unknown", "dog"]);
        assert_eq!(means, [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]);
    }

    #[test]
    fn a_caption_may_begin_with_a_piece() {
        let (words, means) = of(&["##ing", "<unk>"], &[[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(words, ["##ing", "<unk>"]);
        assert_eq!(means.len(), 2);
    }
}
