//! Attention pictures.
#![deny(missing_docs)]

mod figure;
mod text;

pub use figure::Figure;
