//! Splits by the names that people give them.

/// The usual name of a split of another name: `train`, `val` or `test`.
pub fn usual(name: &str) -> Option<&'static str> {
    Some(match &*name.to_ascii_lowercase() {
        "train" | "training" => "train",
        "val" | "valid" | "validation" | "dev" => "val",
        "test" | "testing" => "test",
        _ => return None,
    })
}

/// The word that names a split in the name of a table or of its folder:
/// `train-00000-of-00004.parquet`, `captions_val.csv`, `test/metadata.csv`.
pub fn in_path(path: &str) -> Option<&str> {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let words = name.split(|c: char| !c.is_alphabetic());
    let words: Vec<&str> = words.filter(|word| usual(word).is_some()).collect();
    match words.as_slice() {
        [one] => Some(*one),
        _ => parts.next().filter(|folder| usual(folder).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::in_path;

    #[test]
    fn a_files_name_or_its_folder_says_the_split() {
        for (path, split) in [
            ("data/train-00000-of-00004.parquet", Some("train")),
            ("captions_val.csv", Some("val")),
            ("Validation.tsv", Some("Validation")),
            ("data/test/metadata.jsonl", Some("test")),
            ("captions_val2017.jsonl", Some("val")),
            ("train_and_test.csv", None),
            ("training_set/captions.csv", None),
            ("trainees.csv", None),
            ("captions.txt", None),
        ] {
            assert_eq!(in_path(path), split, "{path}");
        }
    }
}
