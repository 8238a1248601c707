//! The folder in which an artifact grows until it is committed.
//!
//! `NAME.staging` is beside the destination `NAME`. Every finished file is
//! synced and entered in a journal. A run that is killed at any moment leaves
//! the old artifact or none at the destination, and a staging folder from which
//! the next run of the same fingerprint (producer, parameters, inputs) continues.
//!
//! An artifact of many shards is made in [`Piece`]s. Pieces of an older artifact
//! with the same fingerprint are taken over unchanged; several runs, on several
//! machines, may each make their [`Share`] of them.
//!
//! - `folder`: the finished files, as entered in the `journal`.
//! - `open`, `commit`: begins or resumes a staging folder, and turns it into the artifact.
//! - `piece`, `pieces`, `adopt`: shards, made or taken over; `notes`: facts about each; `kept`:
//!   about the whole.
//! - `place`, `work`: what may be replaced and deleted.
//! - `lock`, `disk`: one run at a time; file system operations.

mod adopt;
mod commit;
mod disk;
mod folder;
pub(crate) mod journal;
mod kept;
mod lock;
mod notes;
mod open;
mod piece;
mod pieces;
pub(crate) mod place;
pub(crate) mod work;

pub(crate) use disk::has_replaced;
pub use folder::{Staging, folder_of};
pub(crate) use kept::kept;
pub(crate) use lock::Lock;
pub(crate) use piece::Again;
pub use piece::{Piece, Share};
pub use place::apart;
pub(crate) use work::Rules;
