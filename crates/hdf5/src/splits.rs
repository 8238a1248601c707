//! The order of the splits.

pub(crate) const SPLITS: [&str; 3] = ["TRAIN", "VAL", "TEST"];

/// Sort key of a split's name: the tutorial's three in its order, then all others.
pub(crate) fn order(name: &str) -> usize {
    let known = SPLITS.iter().position(|known| *known == name);
    known.unwrap_or(SPLITS.len())
}
