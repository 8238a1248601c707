//! A photograph as a reference, and what it answers: the bytes of its file, or why there
//! are none.

use attend_artifact::ledger::Reason;
use serde::{Deserialize, Serialize};

/// A file of more bytes is no photograph.
pub const MAX_BYTES: u64 = 256 << 20;

/// A photograph's file: its name below a folder. [`crate::source::Source`] finds it in the
/// folder, or in the archive that stands for the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The folder: its place in [`crate::annotations::Annotations::folders`].
    pub folder: usize,
    /// The name below it, with `/`. It comes from the annotations and is not trusted.
    pub name: String,
}

/// What tells one state of a photograph's file from another.
pub type State = [i64; 3];

/// Why a photograph can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason in the ledger.
    pub reason: Reason,
    /// What exactly was wrong; without paths, which differ between machines.
    pub detail: String,
}

/// A refusal.
pub fn refuse(reason: Reason, detail: impl ToString) -> Refusal {
    Refusal {
        reason,
        detail: detail.to_string(),
    }
}

/// Refuses what is no regular file, or has more bytes than `limit`.
///
/// # Errors
/// The refusal.
pub fn check(regular: bool, size: u64, limit: u64) -> Result<(), Refusal> {
    if !regular {
        return Err(refuse(Reason::Unreadable, "not a regular file"));
    }
    if size > limit {
        let detail = format!("{size} bytes, more than {limit}");
        return Err(refuse(Reason::TooLarge, detail));
    }
    Ok(())
}
