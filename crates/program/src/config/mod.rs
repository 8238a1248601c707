//! Configs: TOML files, whose values `--set section.key=value` overrides.
//!
//! - [`Config`]: the given values, and where each was given: a file and line, or a `--set`.
//! - [`Schema`]: the known keys with their defaults, which determine the types. An unknown
//!   key is refused, with the nearest known one.
//! - [`load()`]: turns both into a program's parameters, with `${VAR}` expanded.

mod environment;
mod file;
mod given;
mod load;
mod schema;

pub use environment::Unset;
pub use file::read;
pub use given::Config;
pub use load::{defaults, load};
pub use schema::{Schema, nearest, sections, slip};

#[cfg(test)]
mod tests;
