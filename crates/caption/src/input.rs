//! An image to describe.

use std::path::PathBuf;

/// An image to describe, or the reason why something named has none.
#[derive(Debug)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// The bytes of an image and its name: in an archive, or on standard input.
    Bytes(PathBuf, Vec<u8>),
    /// What can't be read, and why.
    Unread(PathBuf, String),
}
