//! Which words the vocabulary holds.

use attend_artifact::dataset::CaptionRecord;
use attend_artifact::vocabulary::{Vocabulary, tokenize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Split whose captions are counted.
const TRAIN: &str = "train";

/// The words that the train captions hold at least `min_count` times: the most
/// frequent first, equally frequent ones in the order of their code points. The
/// tutorial numbers words by first appearance instead; this order depends on
/// the captions alone, not on how a file lists them.
///
/// Every train caption counts, those of more than `max_length` words too, as in
/// the tutorial.
///
/// The error says what is wrong with the captions, and the way out.
pub(crate) fn vocabulary(
    captions: &[CaptionRecord],
    min_count: u64,
    max_length: usize,
) -> Result<Vocabulary, String> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut train = 0;
    for caption in captions.iter().filter(|c| c.split == TRAIN) {
        train += 1;
        for word in tokenize(&caption.caption) {
            *counts.entry(word).or_default() += 1;
        }
    }
    if train == 0 {
        return Err(no_train_captions(captions));
    }
    let most = counts.values().max().copied().unwrap_or(0);
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.retain(|(_, count)| *count >= min_count);
    if words.is_empty() {
        return Err(match most {
            0 => format!("none of the {train} captions of split \"{TRAIN}\" has a word in it"),
            _ => format!(
                "no word stands {min_count} times in the {train} captions of split \"{TRAIN}\", \
                 the most frequent {most} times; set vocab.min_count to {most} or less"
            ),
        });
    }
    words.sort_unstable_by(|(a, n), (b, m)| (Reverse(n), a).cmp(&(Reverse(m), b)));
    Ok(Vocabulary::new(words, min_count, max_length))
}

fn no_train_captions(captions: &[CaptionRecord]) -> String {
    let mut splits: BTreeMap<&str, u64> = BTreeMap::new();
    for caption in captions {
        *splits.entry(&caption.split).or_default() += 1;
    }
    let has = splits
        .iter()
        .map(|(split, n)| format!("{n} in \"{split}\""));
    let has = match splits.is_empty() {
        true => "no caption at all".to_owned(),
        false => format!(
            "{}, but none in \"{TRAIN}\"",
            has.collect::<Vec<_>>().join(", ")
        ),
    };
    format!(
        "there is {has}, and words are counted in split \"{TRAIN}\" alone; \
         make a data set whose source has train captions"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(split: &str, caption: &str) -> CaptionRecord {
        CaptionRecord {
            caption_id: 0,
            image_id: 0,
            split: split.into(),
            caption: caption.into(),
        }
    }

    fn words(captions: &[CaptionRecord], min_count: u64) -> Vec<(String, u64)> {
        let vocabulary = vocabulary(captions, min_count, 50).unwrap();
        let words = vocabulary.words.into_iter();
        words.map(|word| (word.word, word.count)).collect()
    }

    #[test]
    fn frequent_words_come_first_and_ties_by_code_point() {
        let captions = [
            caption("train", "Zebra und Äpfel, Äpfel!"),
            caption("train", "ein Äpfel und ein Hund"),
        ];
        let expected = [("äpfel", 3), ("ein", 2), ("und", 2)];
        assert_eq!(words(&captions, 2), expected.map(|(w, n)| (w.into(), n)));
        assert_eq!(words(&captions, 1).len(), 5);
    }

    #[test]
    fn train_alone_is_counted() {
        let captions = [
            caption("val", "cat cat"),
            caption("train", "cat dog"),
            caption("restval", "dog"),
        ];
        let expected = [("cat", 1), ("dog", 1)];
        assert_eq!(words(&captions, 1), expected.map(|(w, n)| (w.into(), n)));
    }

    #[test]
    fn what_has_no_words_is_refused_with_the_way_out() {
        let error = |captions: &[CaptionRecord]| vocabulary(captions, 6, 50).unwrap_err();
        assert!(error(&[]).contains("no caption at all"));
        assert!(error(&[caption("val", "a")]).contains("1 in \"val\", but none in \"train\""));
        assert!(error(&[caption("train", " . ")]).contains("has a word in it"));
        assert!(error(&[caption("train", "a a b")]).contains("vocab.min_count to 2 or less"));
    }
}
