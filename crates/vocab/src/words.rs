//! Chooses the words of the vocabulary.

use attend_artifact::vocabulary::{Tokenizer, UNK, Word};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Split whose captions are counted.
const TRAIN: &str = "train";

/// Counts of the words in the train captions, including captions with too many words, as in
/// the tutorial.
#[derive(Default)]
pub(crate) struct WordCounts {
    words: HashMap<String, u64>,
    /// Number of captions by split.
    captions: BTreeMap<String, u64>,
}

impl WordCounts {
    /// Counts a caption.
    pub(crate) fn add(&mut self, split: &str, caption: &str, tokenizer: Tokenizer) {
        match self.captions.get_mut(split) {
            Some(captions) => *captions += 1,
            None => drop(self.captions.insert(split.to_owned(), 1)),
        }
        if split == TRAIN {
            tokenizer.each_word(caption, |word| match self.words.get_mut(word) {
                _ if word == UNK => {}
                Some(count) => *count += 1,
                None => drop(self.words.insert(word.to_owned(), 1)),
            });
        }
    }

    /// The words of `base` in their order, however often they occur here; then the others
    /// with at least `min_count` occurrences: the most frequent first, equally frequent ones
    /// in order of their code points. The tutorial numbers words by first appearance instead;
    /// our order does not depend on the order of the captions.
    ///
    /// # Errors
    /// What is wrong with the captions, and what to do.
    pub(crate) fn chosen(
        mut self,
        min_count: u64,
        base: &[Word],
    ) -> Result<Vec<(String, u64)>, String> {
        let Some(train) = self.captions.get(TRAIN) else {
            return Err(no_train_captions(&self.captions));
        };
        let most = self.words.values().max().copied().unwrap_or(0);
        let known = base.iter().map(|word| {
            let count = self.words.remove(&word.word).unwrap_or(0);
            (word.word.clone(), count)
        });
        let known: Vec<(String, u64)> = known.collect();
        let mut words: Vec<(String, u64)> = self.words.into_iter().collect();
        words.retain(|(_, count)| *count >= min_count);
        if most == 0 || (words.is_empty() && known.is_empty()) {
            return Err(match most {
                0 => format!("none of the {train} captions of split \"{TRAIN}\" has a word in it"),
                _ => format!(
                    "no word occurs {min_count} times in the {train} captions of split \"{TRAIN}\", \
                     the most frequent only {most} times; set vocab.min_count to {most} or less"
                ),
            });
        }
        words.sort_unstable_by(|(a, n), (b, m)| (Reverse(n), a).cmp(&(Reverse(m), b)));
        Ok([known, words].concat())
    }
}

fn no_train_captions(captions: &BTreeMap<String, u64>) -> String {
    let splits = captions.iter();
    let splits: Vec<String> = splits
        .map(|(split, n)| format!("{n} in {split:?}"))
        .collect();
    let found = match splits.is_empty() {
        true => "no caption at all".to_owned(),
        false => format!("{}, but none in \"{TRAIN}\"", splits.join(", ")),
    };
    format!(
        "there is {found}, but words are counted in split \"{TRAIN}\" only; \
         make a data set whose source has train captions, or name their split: \
         dataset.splits = {{ NAME = \"{TRAIN}\" }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(captions: &[(&str, &str)], min_count: u64) -> Result<Vec<(String, u64)>, String> {
        let mut counts = WordCounts::default();
        for (split, caption) in captions {
            counts.add(split, caption, Tokenizer::default());
        }
        counts.chosen(min_count, &[])
    }

    #[test]
    fn frequent_words_come_first_and_ties_by_code_point() {
        let captions = [
            ("train", "Zebra und Äpfel, Äpfel!"),
            ("train", "ein Äpfel und ein Hund"),
        ];
        let expected = [("äpfel", 3), ("ein", 2), ("und", 2)];
        let expected = expected.map(|(w, n)| (w.to_owned(), n));
        assert_eq!(words(&captions, 2).unwrap(), expected);
        assert_eq!(words(&captions, 1).unwrap().len(), 5);
    }

    #[test]
    fn train_alone_is_counted() {
        let captions = [("val", "cat cat"), ("train", "cat dog"), ("restval", "dog")];
        let expected = [("cat", 1), ("dog", 1)].map(|(w, n)| (w.to_owned(), n));
        assert_eq!(words(&captions, 1).unwrap(), expected);
    }

    #[test]
    fn what_has_no_words_is_refused_with_the_way_out() {
        let error = |captions: &[(&str, &str)]| words(captions, 6).unwrap_err();
        assert!(error(&[]).contains("no caption at all"));
        assert!(error(&[("val", "a")]).contains("1 in \"val\", but none in \"train\""));
        assert!(error(&[("train", " . ")]).contains("has a word in it"));
        assert!(error(&[("train", "a a b")]).contains("vocab.min_count to 2 or less"));
    }
}
