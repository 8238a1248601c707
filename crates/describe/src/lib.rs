//! Describing images: pixels or an encoder's features go in, captions with the attention
//! of each word come out. The one place that loads a checkpoint to describe with it.
//!
//! - [`captioner`]: a checkpoint, loaded: from photographs to captions, or only to what its
//!   decoder looks at.
//! - [`search`]: from there to captions, whoever holds the decoders: a loaded checkpoint,
//!   several models together, or a network in training.
#![deny(missing_docs)]

pub mod captioner;
pub mod search;

pub use captioner::Captioner;
pub use search::{Description, Search};
