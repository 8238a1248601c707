//! Tokenisers: from a caption's text to the words that scores count.
//!
//! Each is a function from `&str` to words, so that one can stand in for
//! another.

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
