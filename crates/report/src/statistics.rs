//! Lengths, words and repetitions of captions, beside those of people.

use crate::scored::{Beam, Split};
use attend_artifact::dataset::Dataset;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Number of words and captions that are listed.
const LISTED: usize = 20;
/// Captions of this many words or more are counted together.
pub const LONGEST: usize = 20;

/// What is known of the people's captions, as far as captions are compared with it.
pub struct People {
    /// How often each word occurs in the references.
    words: HashMap<String, u64>,
    /// The share of the references of each length, in words.
    pub lengths: Vec<f64>,
    /// Mean number of words.
    pub mean_length: f64,
    /// The share of the references that differ.
    pub distinct: f64,
    /// The captions of split train, as words joined by blanks.
    train: HashSet<String>,
}

/// Statistics of the captions at one beam size.
pub struct Said {
    /// The share of the captions of each length, in words; the last is that of [`LONGEST`]
    /// and more.
    pub lengths: Vec<f64>,
    /// Mean number of words.
    pub mean_length: f64,
    /// Number of different words.
    pub vocabulary: usize,
    /// The share of the captions that differ.
    pub distinct: f64,
    /// The share of the captions that stand in train word for word; `None` without train.
    pub in_train: Option<f64>,
    /// The share of the captions that the model did not end.
    pub unfinished: f64,
    /// The most frequent captions, with their number.
    pub captions: Vec<(String, u64)>,
    /// The most frequent words, each with its number in 1,000 words here and in the
    /// references.
    pub words: Vec<(String, [f64; 2])>,
    /// The words that are most frequent in the references of those that no caption has.
    pub never: Vec<(String, u64)>,
}

impl People {
    /// Counts the words of the references and of train.
    pub fn new(split: &Split, dataset: &Dataset) -> People {
        let all: Vec<Vec<String>> = (split.references.iter().flatten())
            .map(|text| split.tokenizer.words(text))
            .collect();
        let mut words = HashMap::new();
        for word in all.iter().flatten() {
            *words.entry(word.clone()).or_default() += 1;
        }
        let train = dataset.captions().iter();
        let train = train.filter(|caption| caption.split == "train");
        let (lengths, mean_length) = lengths(all.iter().map(Vec::len));
        let different: HashSet<String> = all.iter().map(|words| words.join(" ")).collect();
        People {
            words,
            lengths,
            mean_length,
            distinct: share(different.len(), all.len()),
            train: train
                .map(|caption| split.tokenizer.words(&caption.caption).join(" "))
                .collect(),
        }
    }

    /// Number of different words.
    pub fn vocabulary(&self) -> usize {
        self.words.len()
    }
}

impl Said {
    /// Compares captions with those of people.
    pub fn new(beam: &Beam, people: &People) -> Said {
        let captions: Vec<&str> = beam.rows.iter().map(|row| row.caption.as_str()).collect();
        let words = |caption: &'_ str| caption.split_whitespace().count();
        let (lengths, mean_length) = lengths(captions.iter().map(|caption| words(caption)));
        let number = |of: &mut dyn Iterator<Item = &str>| {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            of.for_each(|one| *counts.entry(one.to_owned()).or_default() += 1);
            counts
        };
        let of_words = number(&mut captions.iter().flat_map(|text| text.split_whitespace()));
        let of_captions = number(&mut captions.iter().copied());
        let rate = |count: u64, all: u64| 1000.0 * count as f64 / all.max(1) as f64;
        let (ours, theirs) = (of_words.values().sum(), people.words.values().sum());
        let beside = |(word, count): (String, u64)| {
            let of_people = people.words.get(&word).copied().unwrap_or(0);
            (word, [rate(count, ours), rate(of_people, theirs)])
        };
        let is_new = |(word, _): &(&String, &u64)| !of_words.contains_key(*word);
        let never = people.words.iter().filter(is_new);
        let never = never.map(|(word, count)| (word.clone(), *count)).collect();
        let in_train = captions.iter().filter(|text| people.train.contains(**text));
        let unfinished = beam.rows.iter().filter(|row| !row.finished);
        Said {
            lengths,
            mean_length,
            vocabulary: of_words.len(),
            distinct: share(of_captions.len(), captions.len()),
            in_train: (!people.train.is_empty()).then(|| share(in_train.count(), captions.len())),
            unfinished: share(unfinished.count(), captions.len()),
            captions: most(of_captions),
            words: most(of_words).into_iter().map(beside).collect(),
            never: most(never),
        }
    }
}

/// The most frequent ones, in the order of the alphabet if they are equally frequent.
fn most(counts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(LISTED);
    counts
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

/// The share of each length, and the mean.
fn lengths(lengths: impl ExactSizeIterator<Item = usize>) -> (Vec<f64>, f64) {
    let (count, mut sum) = (lengths.len(), 0);
    let mut shares = vec![0.0; LONGEST + 1];
    for length in lengths {
        sum += length;
        shares[length.min(LONGEST)] += 1.0 / count as f64;
    }
    (shares, share(sum, count))
}
