//! Captions images: turns pixels or an encoder's features into captions with the
//! attention of each word. Only this crate loads checkpoints for captioning.
//!
//! - [`captioner`]: a loaded checkpoint, which turns photographs into captions, or only
//!   into its decoder's input.
//! - [`search`]: turns a decoder's input into captions, for a loaded checkpoint, an
//!   ensemble or a network in training. `pieces`: words of pieces.
#![deny(missing_docs)]

pub mod captioner;
mod pieces;
pub mod search;

pub use captioner::Captioner;
pub use search::{Description, Search};
