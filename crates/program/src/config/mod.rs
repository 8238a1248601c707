//! Configs: TOML files, over which the command line lays `--set section.key=value`.
//!
//! - [`Config`]: what was given, and where: a file and line, or a `--set`.
//! - [`Schema`]: which keys there are, with their defaults, which say their types. A key
//!   that it doesn't have is refused with the nearest that it has.
//! - [`load()`]: from both to a program's parameters, with `${VAR}` expanded.

mod environment;
mod file;
mod given;
mod load;
mod schema;

pub use environment::Unset;
pub use file::read;
pub use given::Config;
pub use load::{defaults, load};
pub use schema::{Schema, nearest, sections};

#[cfg(test)]
mod tests;
