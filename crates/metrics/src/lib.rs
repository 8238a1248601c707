//! Scores of image captions, as the field reports them.
//!
//! The numbers are those of the COCO caption tool (`pycocoevalcap`), to the
//! last digit that matters, corpus and each image, without Python or a JVM.
//! The crate stands alone: it knows nothing of models, images or artifacts.
//!
//! - [`captions`]: from COCO's, Karpathy's and plain text files.
//! - [`tokens`]: from a caption's text to its words. Scores depend on the
//!   tokeniser as much as on the captions, so say which one you used.
//!   [`tokenize`] is the simple rule, the one behind published Karpathy splits.
//! - [`bleu()`]: BLEU-1 to BLEU-4; [`rouge()`]: ROUGE-L; [`cider()`]: CIDEr-D, the
//!   tool's "CIDEr".
//! - [`meteor`]: METEOR 1.5, for those who have its data.
//! - [`Corpus`], [`Scorer`]: several of them at once.
//!
//! # Example
//!
//! ```
//! use attend_metrics::{bleu, tokenize};
//!
//! // Two images: one hypothesis each, and any number of references.
//! let hypotheses = [
//!     tokenize("A dog runs on the beach."),
//!     tokenize("A red bus."),
//! ];
//! let references = [
//!     vec![
//!         tokenize("A dog runs along the beach."),
//!         tokenize("The dog is running on the beach."),
//!     ],
//!     vec![tokenize("A red bus at a stop.")],
//! ];
//!
//! let scores = bleu(&hypotheses, &references);
//! let [bleu1, .., bleu4] = scores.corpus;
//! // every word is in a reference, but 9 words stand for 12: exp(1 - 12/9)
//! assert!((bleu1 - 0.7165).abs() < 1e-4);
//! assert!(bleu4 < bleu1);
//! assert_eq!(scores.per_image.len(), 2);
//! ```
//!
//! # Reading the numbers
//!
//! Scores lie between 0 and 1; papers print them times 100. The score of a
//! corpus is not the mean of its images' scores: matches and lengths are summed
//! over the corpus first. A single image's BLEU-4 is often next to 0 (no four
//! words in a row match) and is good for little but finding odd captions.
// One exception, the memory map of METEOR's data, says why it is sound.
#![deny(unsafe_code)]

pub mod bleu;
pub mod captions;
pub mod cider;
mod corpus;
mod error;
pub mod meteor;
mod ngrams;
pub mod rouge;
pub mod scores;
pub mod tokens;

pub use bleu::{Bleu, bleu};
pub use cider::{Cider, DocumentFrequencies, cider, cider_with};
pub use corpus::{Corpus, Lines};
pub use error::Error;
pub use rouge::{Rouge, rouge};
pub use scores::{Metric, Score, Scorer};
pub use tokens::simple as tokenize;

/// `work` on equal parts of `0..length`, one a thread; the results in their order.
fn in_parts<T: Send>(
    length: usize,
    threads: usize,
    work: impl Fn(std::ops::Range<usize>) -> T + Sync,
) -> Vec<T> {
    let begin = |thread: usize| thread * length / threads;
    std::thread::scope(|scope| {
        let work = &work;
        let part = |thread| work(begin(thread)..begin(thread + 1));
        let started: Vec<_> = (1..threads)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        let first = part(0);
        std::iter::once(first)
            .chain(started.into_iter().map(join))
            .collect()
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a thread has to say; its panic, where it panicked.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    let panicked = |panic| std::panic::resume_unwind(panic);
    thread.join().unwrap_or_else(panicked)
}
