//! Tests of the contract as other programs see it.
//!
//! - `wrong`: wrong artifacts, each refused with everything that is wrong.
//! - `mangled`: bytes changed at random.
//! - `page`: what docs/contract.md says is what the code does.
//! - `schemas`: docs/schemas/ are those of the code, and real files are valid.
//! - `views`: features with further views of the images.
//! - `world`: a whole artifact of each kind.
#![allow(clippy::unwrap_used, clippy::panic)]

mod mangled;
mod page;
mod schemas;
mod views;
mod world;
mod wrong;
