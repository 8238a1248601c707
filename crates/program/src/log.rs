//! A copy of a program's log lines in a file, `--log FILE`.

use crate::error::At;
use crate::{Result, text};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

static FILE: OnceLock<File> = OnceLock::new();

/// Appends all later log lines to the file at `path`, too.
///
/// # Errors
/// [`crate::Error::Internal`] if it can't be opened.
pub fn to(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).open(path).at(path)?;
    let _ = FILE.set(file);
    Ok(())
}

/// Whether there is a file.
pub(crate) fn is_on() -> bool {
    FILE.get().is_some()
}

/// Writes a line that does not come through `tracing`.
pub(crate) fn line(message: &str) {
    let _ = writeln!(Copy, "{}", text::message(message));
}

/// Writes to the file, if there is one. Ignores errors: a full disk must not stop the work
/// before the artifact's own files do.
#[derive(Clone, Copy, Default)]
pub(crate) struct Copy;

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(mut file) = FILE.get() {
            let _ = file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
