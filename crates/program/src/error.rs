//! The error type of all programs; its variant determines the exit code.

use std::fmt::Display;
use std::path::Path;

/// What went wrong, classified by who can fix it. Each message is complete: it names the
/// file, the place in it and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the config is wrong (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// A file of the user is missing or wrong (exit code 3).
    #[error("{0}")]
    Input(String),
    /// An artifact is of the wrong kind, of a newer schema, damaged, or made
    /// from other inputs or parameters than requested (exit code 4).
    #[error("{0}")]
    Refused(String),
    /// The machine or this program failed (exit code 1).
    #[error("{0}")]
    Internal(String),
    /// Ctrl-C, SIGTERM or SIGHUP (exit code 130). Finished parts of a stage's output are
    /// kept.
    #[error("interrupted")]
    Interrupted,
    /// A program that this one started ended with this exit code and printed its own error.
    #[error("a program that was started has failed")]
    Reported(u8),
}

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A wrong command line or config.
    pub fn usage(message: impl Display) -> Self {
        Error::Usage(message.to_string())
    }

    /// A missing or wrong file of the user.
    pub fn input(message: impl Display) -> Self {
        Error::Input(message.to_string())
    }

    /// An artifact that cannot be used.
    pub fn refused(message: impl Display) -> Self {
        Error::Refused(message.to_string())
    }

    /// A failure of the machine or of this program.
    pub fn internal(message: impl Display) -> Self {
        Error::Internal(message.to_string())
    }

    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Internal(_) => 1,
            Error::Usage(_) => 2,
            Error::Input(_) => 3,
            Error::Refused(_) => 4,
            Error::Interrupted => 130,
            Error::Reported(code) => *code,
        }
    }
}

/// Adds the file's path to an error.
pub trait At<T> {
    /// Turns the error into [`Error::Internal`], whose message begins with `path`.
    ///
    /// # Errors
    /// The error itself, with the path.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T, E: Display> At<T> for std::result::Result<T, E> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|e| Error::Internal(format!("{}: {e}", path.display())))
    }
}
