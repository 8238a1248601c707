//! The service from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod load;
mod refusals;
mod service;
