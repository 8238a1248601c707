//! Digests of files.

use attend_program::{At, Result};
use std::fs::File;
use std::path::Path;

/// BLAKE3 of a file's bytes, in hexadecimal.
///
/// # Errors
/// [`attend_program::Error::Internal`] if it can't be read.
pub fn digest_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).at(path)?).at(path)?;
    Ok(hasher.finalize().to_hex().to_string())
}
