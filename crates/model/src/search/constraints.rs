//! Which tokens may follow a hypothesis.

use super::options::SearchOptions;
use super::path::Path;

/// What may follow one hypothesis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Allowed {
    /// Only this token.
    pub only: Option<i64>,
    /// None of these, besides those that [`SearchOptions`] excludes everywhere.
    pub blocked: Vec<i64>,
}

impl Allowed {
    /// Whether a token may follow.
    pub fn takes(&self, token: i64) -> bool {
        self.only.is_none_or(|only| only == token) && !self.blocked.contains(&token)
    }
}

/// What may follow a hypothesis.
pub(super) fn allowed(path: &Path, options: &SearchOptions) -> Allowed {
    let length = path.len();
    let mut blocked = Vec::new();
    if length < options.min_length {
        blocked.push(options.end);
    }
    let n = options.no_repeat_ngram;
    if n > 0 && length >= n {
        let tokens = path.tokens();
        let last = &tokens[length + 1 - n..];
        let repeats = tokens.windows(n).filter(|gram| gram[..n - 1] == *last);
        blocked.extend(repeats.map(|gram| gram[n - 1]));
    }
    Allowed {
        only: options.prefix.get(length).copied(),
        blocked,
    }
}

/// The tokens that are never produced, as a mask over the vocabulary.
pub(super) fn never(options: &SearchOptions, vocabulary: usize) -> Vec<bool> {
    let mut never = vec![false; vocabulary];
    let tokens = (options.never.iter()).chain([&options.pad, &options.start]);
    for token in tokens {
        if let Some(token) = usize::try_from(*token)
            .ok()
            .and_then(|token| never.get_mut(token))
        {
            *token = true;
        }
    }
    never
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::{integers, of_hugging_face};

    #[test]
    fn what_may_follow_is_what_may_follow_in_hugging_face() {
        let expected = of_hugging_face();
        let [rows, vocabulary] = [0, 1].map(|n| expected["log_probs"].size()[n]);
        for order in 1..=3 {
            let options = SearchOptions {
                no_repeat_ngram: order,
                ..SearchOptions::new(1, [-1, -1, -1])
            };
            let theirs = &expected[&format!("ngram{order}")];
            let mut blocked = 0;
            for row in 0..rows {
                let tokens = integers(&expected["tokens"].get(row));
                let path = tokens
                    .iter()
                    .fold(Path::default(), |path, token| path.and(*token, 0.0, 0));
                let allowed = allowed(&path, &options);
                for token in 0..vocabulary {
                    let is_allowed = theirs.double_value(&[row, token]) > f64::NEG_INFINITY;
                    assert_eq!(
                        allowed.takes(token),
                        is_allowed,
                        "{order}-gram {tokens:?} {token}"
                    );
                    blocked += usize::from(!is_allowed);
                }
            }
            assert!(blocked > 0);
        }
    }
}
