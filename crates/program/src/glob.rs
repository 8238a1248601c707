//! Names of files by a pattern: wildcards (`*`, `?`, `[0-9]`, `**` for folders at any depth)
//! and braces as in a shell (`{train,val}-{00000..00099}.tar`).

use crate::{Error, Result, loose};
use glob::{MatchOptions, Pattern};
use std::path::{Path, PathBuf};

/// Maximum number of patterns that braces may stand for.
const EXPANDED: usize = 1 << 20;

/// A `*` matches within one folder, and no hidden files.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files that match `pattern` below `root`: their names relative to it, sorted. Names
/// are absolute if the pattern is. A file that has just this name matches, whatever
/// characters the name has.
///
/// # Errors
/// [`Error::Usage`] if it is not a pattern; [`Error::Input`] if nothing matches it, or one of
/// the patterns that its braces stand for. Both name the pattern.
pub fn expand(root: &Path, pattern: &str) -> Result<Vec<String>> {
    if root.join(pattern).is_file() {
        return Ok(vec![pattern.to_owned()]);
    }
    let wrong = |why: &str| Error::usage(format!("{pattern:?} is not a pattern of names: {why}"));
    let place = root.display();
    let mut names = Vec::new();
    let mut unmatched = Vec::new();
    for one in braces(pattern).map_err(wrong)? {
        let before = names.len();
        for path in matching(root, &one).map_err(|e| wrong(e.msg))? {
            path.ancestors()
                .skip(1)
                .take_while(|folder| *folder != root && folder.starts_with(root))
                .for_each(loose::note);
            let name = path.strip_prefix(root).unwrap_or(&path);
            let name = name.to_str().ok_or_else(|| {
                let path = path.display();
                Error::input(format!("{path}: its name is not UTF-8; give it another"))
            })?;
            names.push(name.to_owned());
        }
        if names.len() == before {
            unmatched.push(one);
        }
    }
    match unmatched.as_slice() {
        [] => {}
        [one] if one == pattern => {
            return Err(Error::input(format!("{place}: there is no {pattern}")));
        }
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(", and {more} more of its names are not there"),
            };
            return Err(Error::input(format!(
                "{place}: there is no {first} (of {pattern}){more}"
            )));
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn matching(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, glob::PatternError> {
    if !pattern.contains(['*', '?', '[']) {
        let path = root.join(pattern);
        return Ok(if path.is_file() { vec![path] } else { vec![] });
    }
    let absolute = match pattern.starts_with('/') || root.as_os_str().is_empty() {
        true => pattern.to_owned(),
        false => format!("{}/{pattern}", Pattern::escape(&root.to_string_lossy())),
    };
    let paths = glob::glob_with(&absolute, OPTIONS)?;
    Ok(paths.flatten().filter(|path| path.is_file()).collect())
}

/// The patterns that the braces of a pattern stand for, in their order.
fn braces(pattern: &str) -> Result<Vec<String>, &'static str> {
    let Some(open) = pattern.find('{') else {
        return match pattern.contains('}') {
            true => Err("a } without its {"),
            false => Ok(vec![pattern.to_owned()]),
        };
    };
    let (before, rest) = (&pattern[..open], &pattern[open + 1..]);
    let (inner, after) = rest.split_once('}').ok_or("a { without its }")?;
    if inner.contains('{') || before.contains('}') {
        return Err("braces in braces");
    }
    let choices = choices(inner)?;
    let after = braces(after)?;
    if choices.len().saturating_mul(after.len()) > EXPANDED {
        return Err("its braces stand for more than a million names");
    }
    let joined = |choice: &String| {
        let after = after.iter();
        after
            .map(|after| format!("{before}{choice}{after}"))
            .collect::<Vec<_>>()
    };
    Ok(choices.iter().flat_map(joined).collect())
}

/// `a,b` are `a` and `b`; `08..10` are `08`, `09` and `10`.
fn choices(inner: &str) -> Result<Vec<String>, &'static str> {
    let Some((first, last)) = inner.split_once("..") else {
        return Ok(inner.split(',').map(str::to_owned).collect());
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    let range = number(first).zip(number(last));
    let (from, to) = range.ok_or("expected {first..last} with two whole numbers")?;
    if from > to {
        return Err("the first number is larger than the last");
    }
    if to - from >= EXPANDED as u64 {
        return Err("its braces stand for more than a million names");
    }
    // Zeros in front are kept, as in a shell.
    let width = match [first, last].iter().any(|text| text.starts_with('0')) {
        true => first.len().max(last.len()),
        false => 0,
    };
    Ok((from..=to).map(|n| format!("{n:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn wildcards_and_braces_give_sorted_names() {
        let folder = folder(&[
            "b-2.tar",
            "b-10.tar",
            "a-08.tar",
            "a-09.tar",
            "a-10.tar",
            "c/d/x.tar",
            ".h.tar",
            "odd[1]{2}.csv",
            "c.tar/no",
        ]);
        for (pattern, names) in [
            ("a-*.tar", &["a-08.tar", "a-09.tar", "a-10.tar"][..]),
            ("a-{08..10}.tar", &["a-08.tar", "a-09.tar", "a-10.tar"]),
            ("b-{2,10}.tar", &["b-10.tar", "b-2.tar"]),
            ("{b-2,{a-09}.tar", &[]),
            ("{a-0[89],b-?}.tar", &["a-08.tar", "a-09.tar", "b-2.tar"]),
            ("{a,b}-10.tar", &["a-10.tar", "b-10.tar"]),
            ("{a-08,a-08}.tar", &["a-08.tar"]),
            ("**/x.tar", &["c/d/x.tar"]),
            (
                "**/*.tar",
                &[
                    "a-08.tar",
                    "a-09.tar",
                    "a-10.tar",
                    "b-10.tar",
                    "b-2.tar",
                    "c/d/x.tar",
                ],
            ),
            ("odd[1]{2}.csv", &["odd[1]{2}.csv"]),
        ] {
            let found = expand(folder.path(), pattern).unwrap_or_default();
            assert_eq!(found, names, "{pattern}");
        }
        let absolute = format!("{}/b-?.tar", folder.path().display());
        let expected = format!("{}/b-2.tar", folder.path().display());
        assert_eq!(
            expand("/elsewhere".as_ref(), &absolute).unwrap(),
            [expected]
        );
    }

    #[test]
    fn what_is_no_pattern_or_matches_nothing_is_named() {
        let folder = folder(&["a-0.tar", "a-2.tar"]);
        for (pattern, words) in [
            ("b*.tar", "there is no b*.tar"),
            (
                "a-{0..4}.tar",
                "there is no a-1.tar (of a-{0..4}.tar), and 2 more",
            ),
            ("a-{0..2.tar", "a { without its }"),
            ("a-0}.tar", "a } without its {"),
            ("{a,{b,c}}.tar", "braces in braces"),
            ("a-{2..0}.tar", "larger than the last"),
            ("a-{x..2}.tar", "two whole numbers"),
            ("a-{0..9999999999}.tar", "more than a million names"),
            ("{0..999}{0..999}{0..999}", "more than a million names"),
            ("a[.tar", "\"a[.tar\" is not a pattern"),
        ] {
            let error = expand(folder.path(), pattern).unwrap_err().to_string();
            assert!(error.contains(words), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_root_with_wildcards_in_its_name_is_a_name() {
        let folder = folder(&["data [old]*/1.tar", "data o/2.tar"]);
        let root = folder.path().join("data [old]*");
        assert_eq!(expand(&root, "*.tar").unwrap(), ["1.tar"]);
    }
}
