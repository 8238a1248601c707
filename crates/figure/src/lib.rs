//! Attention pictures.
//!
//! | module | what it does |
//! |---|---|
//! | `figure` | [`Figure`]: lays out and draws the tiles of a caption's words |
//! | `text` | measures, wraps and draws text |
#![deny(missing_docs)]

mod figure;
mod text;

pub use figure::Figure;
