//! Tokenises arbitrary lines. No token may be empty, and the corpus that several threads
//! tokenise must score like the one built from these tokens.
#![no_main]

use attend_metrics::{Corpus, tokens::ptb_lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let captions: Vec<&str> = text.split('\n').collect();
    let words = ptb_lines(&captions);
    assert_eq!(words.len(), captions.len());
    assert!(
        words
            .iter()
            .flatten()
            .all(|word| !word.is_empty() && !word.contains(' '))
    );
    let references: Vec<Vec<&str>> = captions.iter().map(|caption| vec![*caption]).collect();
    let corpus = Corpus::of_captions(&captions, &references);
    let single: Vec<_> = words.iter().map(|words| vec![words.clone()]).collect();
    let same = Corpus::of_words(&words, &single);
    assert_eq!(corpus.captions(), same.captions());
    assert_eq!(corpus.bleu(), same.bleu());
    assert_eq!(corpus.rouge(), same.rouge());
});
