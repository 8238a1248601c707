//! One error type, whose variant is the exit code.

use std::fmt::Display;
use std::path::Path;

/// What went wrong, by who can mend it. Each message is complete: it names the
/// file, the place in it and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the config is wrong (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// A file of the user's is missing or wrong (exit code 3).
    #[error("{0}")]
    Input(String),
    /// An artifact is of the wrong kind, of a newer schema, damaged, or made
    /// from something else than asked for (exit code 4).
    #[error("{0}")]
    Refused(String),
    /// The machine failed us, or we did (exit code 1).
    #[error("{0}")]
    Internal(String),
    /// Ctrl-C, SIGTERM or SIGHUP (exit code 130). What a stage has finished is kept.
    #[error("interrupted")]
    Interrupted,
    /// A program that we have started ended with this exit code, and said why itself.
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

    /// A missing or wrong file of the user's.
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

    /// The exit code that programs end with on this error.
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

/// Names the file in an error of the operating system.
pub trait At<T> {
    /// Turns the error into [`Error::Internal`] that begins with `path`.
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
