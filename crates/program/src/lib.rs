//! Code that all programs share, including the runner.
//!
//! - [`error`]: the error type and its exit codes; [`end`]: ends a program.
//! - [`run`]: runs a program with log lines and the handler of Ctrl-C; [`log`]: their copy
//!   in a file.
//! - [`signal`]: handles Ctrl-C, SIGTERM and SIGHUP.
//! - [`config`]: TOML files, `--set` and `${VAR}`, from text to parameters.
//! - [`describe`]: the description that a stage prints with `--describe`; [`difference`]:
//!   between the parameters of two runs.
//! - [`fetch`]: which command brings a published file.
//! - [`loose`]: the loose files that a program looks at; [`whole`]: atomic writes of single
//!   files.
//! - [`output`]: results on standard output; [`table`]: aligned columns; [`text`]: makes
//!   untrusted text safe for the terminal; [`mod@progress`]: bars and log lines of long
//!   work; [`question`]: questions to the user.
//! - [`random`]: random numbers as functions of a key.
//! - [`fault`]: points at which tests kill a program.
#![deny(missing_docs)]

pub mod config;
pub mod describe;
pub mod difference;
pub mod end;
pub mod error;
pub mod fault;
pub mod fetch;
pub mod log;
pub mod loose;
pub mod output;
pub mod progress;
pub mod question;
pub mod random;
pub mod run;
pub mod signal;
pub mod table;
pub mod text;
pub mod whole;

pub use error::{At, Error, Result};
pub use progress::{Progress, progress};
pub use run::program;
pub use signal::{check_interrupt, interrupted};

/// Writes a line to standard error, as `eprintln!` does, without control characters
/// ([`text::message`]). Ignores errors: closing the terminal or the pipe must not stop the
/// work.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(
            &mut ::std::io::stderr(),
            format_args!("{}\n", $crate::text::message(&format!($($words)*))),
        );
    }};
}
