//! Scores of image captions, as the field reports them.
//!
//! The numbers equal those of the COCO caption tool (`pycocoevalcap`) up to rounding,
//! for the corpus and for each image, without Python or a JVM. The crate stands alone:
//! it knows nothing of models, images or artifacts.
//!
//! | module | what it does |
//! |---|---|
//! | [`captions`] | reads captions from COCO's, Karpathy's, Flickr8k's and other files |
//! | [`tokens`] | splits a caption into words. Scores depend on the tokeniser as much as on the captions, so say which one you used. [`tokenize`] is the simple rule behind published Karpathy splits |
//! | `corpus` | [`Corpus`]: hypotheses and references as numbers of words, from which all scores are computed |
//! | `ngrams` | n-grams as integers, for BLEU and CIDEr-D |
//! | `parallel` | splits work among threads |
//! | [`mod@bleu`] | BLEU-1 to BLEU-4 |
//! | [`mod@rouge`] | ROUGE-L |
//! | [`mod@cider`] | CIDEr-D, the tool's "CIDEr" |
//! | [`meteor`] | METEOR 1.5; needs data that is not part of this crate |
//! | [`scores`] | [`Scorer`]: several metrics at once |
//! | [`mod@bootstrap`] | [`Bootstrap`]: confidence intervals of scores, and of two models' difference |
//! | `error` | [`Error`]: why a file is refused |
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
//! // every word is in a reference, but 9 words are fewer than 12: exp(1 - 12/9)
//! assert!((bleu1 - 0.7165).abs() < 1e-4);
//! assert!(bleu4 < bleu1);
//! assert_eq!(scores.per_image.len(), 2);
//! ```
//!
//! # Reading the numbers
//!
//! Scores lie between 0 and 1; papers print them times 100. The score of a
//! corpus is not the mean of its images' scores: matches and lengths are summed
//! over the corpus first. A single image's BLEU-4 is often close to 0 (no four
//! words in a row match) and hardly useful except to find odd captions.
// The one exception, the memory map of METEOR's data, states why it is sound.
#![deny(unsafe_code)]

pub mod bleu;
pub mod bootstrap;
pub mod captions;
pub mod cider;
mod corpus;
mod error;
pub mod meteor;
mod ngrams;
mod parallel;
pub mod rouge;
pub mod scores;
pub mod tokens;

pub use bleu::{Bleu, bleu};
pub use bootstrap::{Bootstrap, Difference, Interval};
pub use cider::{Cider, DocumentFrequencies, Rewards, cider, cider_with};
pub use corpus::{Corpus, Lines};
pub use error::Error;
pub use rouge::{Rouge, rouge};
pub use scores::{Metric, Score, Scorer, Tally};
pub use tokens::simple as tokenize;
