//! The parts of an artifact, and which of them a run makes.

/// A file of the artifact that can be made without the others: a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Name of the file in the artifact, with `/`.
    pub name: String,
    /// Hash of the loose files (path, size, time) that it is made from; empty
    /// if the digests of the inputs cover everything.
    pub sources: String,
}

/// Which pieces a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All; then commits.
    All,
    /// Every `count`th, from the `index`th; leaves them for the run that finalizes.
    Task {
        /// From 1 to `count`.
        index: usize,
        /// Number of tasks.
        count: usize,
    },
    /// None: commits the pieces that the tasks made.
    Finalize,
}

impl Share {
    /// The pieces that this run makes or takes over; those of all tasks if it finalizes.
    pub(crate) fn select(self, pieces: &[Piece]) -> impl Iterator<Item = &Piece> {
        let (first, step) = match self {
            Share::Task { index, count } => (index - 1, count),
            Share::All | Share::Finalize => (0, 1),
        };
        pieces.iter().skip(first).step_by(step)
    }
}

/// Which parts of an existing output a run makes again.
pub(crate) enum Again {
    /// Parts that are out of date, missing or of the wrong size.
    Stale,
    /// The same, and damaged parts.
    Damaged,
    /// The named shards.
    Shards(Vec<String>),
    /// Everything.
    All,
}
