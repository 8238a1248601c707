//! Downloads data sets and weights that others publish.
//!
//! - [`list`]: what there is: addresses, sizes, digests.
//! - [`download`]: brings a file: resumes it, tries again, verifies it; [`part`]: a file of
//!   which not all has arrived; [`client`]: one request.
//! - [`unpack`]: takes files out of an archive.
//!
//! A file has its name only once all of it is there and is what the list says. Before, it
//! is called `NAME.part`.
#![deny(missing_docs)]

pub mod client;
pub mod download;
pub mod list;
pub mod part;
pub mod unpack;
