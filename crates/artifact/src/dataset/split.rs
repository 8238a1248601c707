//! Splits: their names, their order, and the names of their shards.

/// The file of a split's shard.
pub fn shard_file(split: &str, number: usize) -> String {
    format!("shards/{split}-{number:05}.arrow")
}

/// Whether a split's name may be part of a shard's file name.
pub fn is_split_name(split: &str) -> bool {
    (1..=64).contains(&split.len())
        && split
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The order of splits in a data set: train, val, test, then others by name.
pub fn split_order(split: &str) -> (usize, &str) {
    let known = ["train", "val", "test"];
    let place = known.iter().position(|name| *name == split);
    (place.unwrap_or(known.len()), split)
}

/// The split and number in the name of a shard; `None` if it is no name of a shard.
pub(crate) fn parse_shard_file(name: &str) -> Option<(&str, usize)> {
    let stem = name.strip_prefix("shards/")?.strip_suffix(".arrow")?;
    let (split, number) = stem.rsplit_once('-')?;
    let number = number.parse().ok()?;
    (shard_file(split, number) == name).then_some((split, number))
}
