//! The `evaluation` artifact: captions of a split, and their scores.
//!
//! | file | holds |
//! |---|---|
//! | `results.json`, `results-beam-{k}.json` | captions in COCO's results format: at the primary beam size, and at each |
//! | `scores.json` | the scores of all images, by beam size |
//! | `per_image.parquet` | [`ImageScore`] |
//! | `words.parquet` | [`WordsRecord`]; since schema version 2, and only if the evaluator knows words |
//!
//! `rows`, `words`: the tables' rows. `open`: the open evaluation.

mod open;
mod rows;
mod words;

pub use open::Evaluation;
pub use rows::ImageScore;
pub(crate) use rows::PerImage;
pub use words::{WORDS, WordsRecord};
