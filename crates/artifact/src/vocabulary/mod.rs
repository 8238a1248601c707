//! The `vocabulary` artifact: `vocab.json`, one self-describing file with the
//! tokeniser's rules, the special tokens and the words, and
//! `encoded.parquet`, the captions as ids.

mod encoded;
mod tokenizer;
mod words;

pub use encoded::EncodedRecord;
pub use tokenizer::{Tokenizer, UNK};
pub(crate) use words::VocabFile;
pub use words::{Vocabulary, Word};
