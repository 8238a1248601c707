//! What of an artifact a run makes.

/// A file of the artifact that can be made without the others: a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Name of the file in the artifact, with `/`.
    pub name: String,
    /// Hash over the loose files (path, size, time) that it is made from; empty
    /// where the digests of the inputs say all.
    pub sources: String,
}

/// Which pieces a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All, and commits.
    All,
    /// Each `count`th, and leaves them for the run that finalizes.
    Task {
        /// From 1 to `count`.
        index: usize,
        /// How many tasks there are.
        count: usize,
    },
    /// None: commits what the tasks have made.
    Finalize,
}

impl Share {
    /// The pieces that this run makes, or takes over; those of all tasks, where it
    /// finalizes.
    pub(crate) fn of(self, pieces: &[Piece]) -> impl Iterator<Item = &Piece> {
        let (first, step) = match self {
            Share::Task { index, count } => (index - 1, count),
            Share::All | Share::Finalize => (0, 1),
        };
        pieces.iter().skip(first).step_by(step)
    }
}

/// What of an output that is there a run makes again.
pub(crate) enum Again {
    /// What is out of date, missing or too short.
    Stale,
    /// That, and what is damaged.
    Damaged,
    /// These shards.
    Shards(Vec<String>),
    /// All.
    All,
}
