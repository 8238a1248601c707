//! Attention pictures.
//!
//! | module | what it does |
//! |---|---|
//! | `figure` | [`Figure`]: lays out and draws the tiles of a caption's words |
//! | `frames` | the same, one word after the other |
//! | `light` | lights a photograph where the attention is; [`Theme`]: colours around it |
//! | `text` | measures, wraps and draws text |
#![deny(missing_docs)]

mod figure;
mod frames;
mod light;
mod text;

pub use figure::Figure;
pub use light::Theme;
