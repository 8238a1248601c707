//! What all programs share, the runner too.
//!
//! - [`error`]: what went wrong, by exit code; [`end`]: how a program ends.
//! - [`run`]: a program's run, with log lines and the handler of Ctrl-C.
//! - [`signal`]: what Ctrl-C, SIGTERM and SIGHUP do.
//! - [`config`]: TOML files, `--set` and `${VAR}`, from text to parameters.
//! - [`describe`]: what a stage says about itself with `--describe`.
//! - [`whole`]: single files that are written whole or not at all.
//! - [`output`]: results on standard output; [`table`]: aligned columns; [`text`]: text
//!   from outside, for the terminal; [`mod@progress`]: bars and log lines of long work;
//!   [`question`]: questions to the user.
//! - [`fault`]: points at which tests end a program.
#![deny(missing_docs)]

pub mod config;
pub mod describe;
pub mod end;
pub mod error;
pub mod fault;
pub mod output;
pub mod progress;
pub mod question;
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
/// ([`text::message`]). One that can't be written is no error: who has closed the
/// terminal or the pipe does not want to lose the work.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(
            &mut ::std::io::stderr(),
            format_args!("{}\n", $crate::text::message(&format!($($words)*))),
        );
    }};
}
