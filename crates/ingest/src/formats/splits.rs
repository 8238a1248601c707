//! Splits that names of folders and files say.

/// The split that a name is of: `train` for `train`, `training` and `train2014`; `val` for
/// `val`, `valid`, `validation` and `dev`; `test` for `test` and `testing`. `None` for
/// other names.
pub fn of_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("val"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}

/// The split that the words of a path are of: `val` for `coco-val-00001.tar` and for
/// `valid/00001.tar`. `None` if there is no such word, or words of several splits.
pub fn of_path(path: &str) -> Option<&'static str> {
    let words = path.split(|c: char| !c.is_alphanumeric());
    let mut splits = words.filter_map(of_name);
    let first = splits.next()?;
    splits.all(|other| other == first).then_some(first)
}

/// The settings for a data set that has splits, or else gets them by content.
pub fn settings(has_splits: bool) -> Vec<(&'static str, toml::Value)> {
    let shares = [("val", 0.05), ("test", 0.05)];
    let shares = shares.map(|(name, share)| (name.to_owned(), share.into()));
    let split = ("split", toml::Value::Table(shares.into_iter().collect()));
    if has_splits { vec![] } else { vec![split] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_a_split() {
        for (path, split) in [
            ("train-00000.tar", Some("train")),
            ("data/Validation-00000-of-00010.tar", Some("val")),
            ("val/00000.tar", Some("val")),
            ("train2014/train2014_000.tar", Some("train")),
            ("cc3m_dev_1.tar", Some("val")),
            ("latest/00000.tar", None),
            ("trainval-00000.tar", None),
            ("train/val-00000.tar", None),
            ("testing.tar", Some("test")),
            ("00000.tar", None),
            ("", None),
        ] {
            assert_eq!(of_path(path), split, "{path}");
        }
    }
}
