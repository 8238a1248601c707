//! The tutorial's names of splits.

pub(crate) const SPLITS: [&str; 3] = ["TRAIN", "VAL", "TEST"];

/// Place of a name among the tutorial's, and after them the others'.
pub(crate) fn order(name: &str) -> usize {
    let known = SPLITS.iter().position(|known| *known == name);
    known.unwrap_or(SPLITS.len())
}
