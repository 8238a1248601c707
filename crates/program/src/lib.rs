//! What all programs share, the runner too: how a program ends, what signals do to
//! it, and how it reads a config.
#![deny(missing_docs)]

pub mod config;
pub mod end;
pub mod signal;

/// Writes a line to standard error, as `eprintln!`. One that can't be written is no
/// error: who has closed the terminal or the pipe does not want to lose the work.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(
            &mut ::std::io::stderr(),
            format_args!("{}\n", format_args!($($words)*)),
        );
    }};
}
