//! How a task fails: one message and an exit code.

use std::fmt::Display;
use std::path::Path;

/// Why a task ended early.
#[derive(Debug)]
pub struct Error {
    /// The exit code: 1 internal or set-up, 2 usage or config, 4 artifact
    /// refused, 130 interrupted, or that of the stage that failed.
    pub code: u8,
    /// What to tell the user; empty where the failed program has told it.
    pub message: String,
}

/// Result of a task.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Something about the machine or the set-up is wrong.
    pub fn failed(message: impl Display) -> Error {
        Error {
            code: 1,
            message: message.to_string(),
        }
    }

    /// Arguments, config or pipeline are wrong.
    pub fn usage(message: impl Display) -> Error {
        Error {
            code: 2,
            message: message.to_string(),
        }
    }

    /// A program that we started ended with `code`, and said why itself.
    pub fn exit(code: u8) -> Error {
        Error {
            code,
            message: String::new(),
        }
    }
}

/// Names the path in an I/O error.
pub trait At<T> {
    /// Turns the error into ours, with `path` in front.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T, E: Display> At<T> for std::result::Result<T, E> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|e| Error::failed(format!("{}: {e}", path.display())))
    }
}
