//! What all programs share, the runner too: how a program ends, what signals do to
//! it, what it prints, and how it reads a config.
#![deny(missing_docs)]

pub mod config;
pub mod end;
pub mod output;
pub mod signal;
pub mod text;

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
