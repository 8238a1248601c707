//! Captions images: turns pixels or an encoder's features into captions with the
//! attention of each word. Only this crate loads checkpoints for captioning.
//!
//! - [`captioner`]: a loaded checkpoint, which turns photographs into captions, or only
//!   into its decoder's input.
//! - [`command`]: the program of a foreign encoder, if the user allows it.
//! - [`coprocess`]: that program, running beside this one (`process`).
//! - [`description`]: a caption, its words' probabilities and its attention.
//! - [`search`]: turns a decoder's input into captions, for a loaded checkpoint, an
//!   ensemble or a network in training. [`consensus`]: the one of several captions that agrees
//!   most with the others. `pieces`: words of pieces.
#![deny(missing_docs)]

pub mod captioner;
pub mod command;
pub mod consensus;
pub mod coprocess;
pub mod description;
mod pieces;
mod process;
pub mod search;

pub use captioner::Captioner;
pub use command::EncoderCommand;
pub use consensus::Consensus;
pub use description::Description;
pub use pieces::words;
pub use search::Search;
