//! The folder in which an artifact grows until it is committed.
//!
//! `NAME.staging` stands beside the destination `NAME`. Every finished file is
//! synced and entered in a journal; a run that is killed at any moment leaves
//! the old artifact or none at the destination, and a staging folder from which
//! the next run of the same fingerprint (producer, parameters, inputs) goes on.
//!
//! An artifact of many shards is made in [`Piece`]s. Pieces of an older artifact
//! of the same origin are taken over as they are; several runs, on several
//! machines, may each make their [`Share`] of them.
//!
//! - `folder`: the files that are finished, as `journal` has entered them.
//! - `open`, `commit`: how it begins, or goes on, and becomes the artifact.
//! - `piece`, `pieces`, `adopt`: shards, made or taken over; `notes`: what is known of
//!   each.
//! - `place`, `work`: what may be replaced and deleted.
//! - `lock`, `disk`: one run at a time; files and folders as all of them need them.

mod adopt;
mod commit;
mod disk;
mod folder;
pub(crate) mod journal;
mod lock;
mod notes;
mod open;
mod piece;
mod pieces;
pub(crate) mod place;
pub(crate) mod work;

pub use folder::{Staging, folder_of};
pub(crate) use lock::Lock;
pub(crate) use piece::Again;
pub use piece::{Piece, Share};
pub use place::apart;
pub(crate) use work::Rules;
