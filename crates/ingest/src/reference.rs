//! References to photographs, and refusals: the reasons why one can't be read.

use attend_artifact::ledger::Reason;
use serde::{Deserialize, Serialize};

/// Maximum size of a photograph's file in bytes.
pub const MAX_BYTES: u64 = 256 << 20;

/// A photograph's file: its name below a folder. [`crate::source::Source`] finds it in the
/// folder, or in the archive in the folder's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The folder: its index in [`crate::annotations::Annotations::folders`].
    pub folder: usize,
    /// The name below it, with `/`. It comes from the annotations and is not trusted.
    pub name: String,
}

/// A fingerprint of a photograph's file: it changes with the file.
pub type State = [i64; 3];

/// Why a photograph can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason in the ledger.
    pub reason: Reason,
    /// Details, without paths, which differ between machines.
    pub detail: String,
}

/// Makes a refusal.
pub fn refuse(reason: Reason, detail: impl ToString) -> Refusal {
    Refusal {
        reason,
        detail: detail.to_string(),
    }
}

/// Refuses anything but a regular file of at most `limit` bytes.
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
