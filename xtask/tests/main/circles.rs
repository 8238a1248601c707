//! Checks that no circle of files is left: what a file uses never uses it, directly or not.
//!
//! An arrow goes from a file to the file that defines what it names with `use`, or with a
//! path that begins with `crate::`, `super::` or the name of a file below it. Lines
//! `pub use` and `mod` are no arrows: they list files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Of one crate: the text of each file, without comments and tests, by its module's path;
/// the root is the empty path.
type Files = BTreeMap<Vec<String>, String>;

fn read(folder: &Path, module: &[String], files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let below = [module, std::slice::from_ref(&stem)].concat();
        if path.is_dir() {
            read(&path, &below, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| line.split("//").next().unwrap());
            let text = lines.collect::<Vec<_>>().join("\n");
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let own = match stem.as_str() {
                "mod" | "lib" | "main" => module.to_vec(),
                _ => below,
            };
            files.entry(own).or_default().push_str(text);
        }
    }
}

/// Single paths of a `use` tree: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn flattened(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, list)) = tree.split_once('{').filter(|_| tree.ends_with('}')) else {
        let path = format!("{prefix}{}", tree.split(" as ").next().unwrap());
        paths.push(path.trim().to_owned());
        return;
    };
    let (mut depth, mut begin) = (0, 0);
    let list = &list[..list.len() - 1];
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !list[begin..at].trim().is_empty() {
                    flattened(&format!("{prefix}{head}"), &list[begin..at], paths);
                }
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths that a text names: with `pub use`, with `use`, and in its code.
fn named(text: &str) -> [Vec<String>; 3] {
    let [mut public, mut private] = [Vec::new(), Vec::new()];
    let mut code = String::new();
    for statement in text.split_inclusive(';') {
        let line = statement.find("use ").map(|at| statement.split_at(at));
        match line {
            Some((before, rest)) if before.ends_with(['\n', ' ', ')']) || before.is_empty() => {
                let visible = before.lines().last().unwrap_or_default().trim();
                let tree = rest["use ".len()..].trim_end_matches(';');
                match visible {
                    "" => flattened("", tree, &mut private),
                    _ if visible.starts_with("pub") => flattened("", tree, &mut public),
                    _ => code.push_str(statement),
                }
                let above = before.rsplit_once('\n').map_or("", |(above, _)| above);
                code.push_str(above);
            }
            _ => code.push_str(statement),
        }
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c| !is_path(c));
    let paths = words.filter(|word| word.contains("::")).map(str::to_owned);
    [public, private, paths.collect()]
}

/// The file of `files` that defines what `path` names in the module `from`.
fn defined(files: &Files, from: &[String], path: &str, depth: usize) -> Option<Vec<String>> {
    let mut parts = path.split("::").peekable();
    let mut module = match *parts.peek()? {
        "crate" => parts.next().map(|_| Vec::new())?,
        "self" => parts.next().map(|_| from.to_vec())?,
        "super" => from.to_vec(),
        first => {
            let below = [from, &[first.to_owned()]].concat();
            files.contains_key(&below).then(|| from.to_vec())?
        }
    };
    while parts.next_if_eq(&"super").is_some() {
        module.pop();
    }
    while let Some(part) = parts.peek() {
        let below = [&module[..], &[(*part).to_owned()]].concat();
        if !files.contains_key(&below) {
            break;
        }
        module = below;
        parts.next();
    }
    // What a file only lists is defined elsewhere.
    let item = parts.next()?;
    let listed = files.get(&module).map(|text| named(text)[0].clone())?;
    let elsewhere = listed
        .iter()
        .find(|path| path.rsplit("::").next() == Some(item));
    match elsewhere {
        Some(path) if depth < 6 => defined(files, &module, path, depth + 1),
        _ => Some(module),
    }
}

fn reaches<'a>(
    arrows: &'a BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    from: &[String],
    seen: &mut BTreeSet<&'a Vec<String>>,
) {
    for to in arrows.get(from).into_iter().flatten() {
        if seen.insert(to) {
            reaches(arrows, to, seen);
        }
    }
}

#[test]
fn no_file_uses_one_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = std::fs::read_dir(root.join("crates")).unwrap();
    let mut sources: Vec<_> = crates
        .map(|entry| entry.unwrap().path().join("src"))
        .collect();
    sources.push(root.join("xtask/src"));
    let (mut circles, mut count) = (Vec::new(), 0);
    for source in sources {
        let mut files = Files::new();
        read(&source, &[], &mut files);
        let mut arrows = BTreeMap::new();
        for (module, text) in &files {
            let [_, private, code] = named(text);
            let paths = private.iter().chain(&code);
            let used = paths.filter_map(|path| defined(&files, module, path, 0));
            let used: BTreeSet<_> = used.filter(|other| other != module).collect();
            count += used.len();
            arrows.insert(module.clone(), used);
        }
        for module in files.keys() {
            let mut seen = BTreeSet::new();
            reaches(&arrows, module, &mut seen);
            if seen.contains(module) {
                circles.push(format!("{}: {}", source.display(), module.join("::")));
            }
        }
    }
    assert!(count > 300, "only {count} arrows were found");
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_circle_is_found() {
    let files: Files = [
        (vec![], "pub use a::A; mod a; mod b;"),
        (
            vec!["a".to_owned()],
            "use crate::b::{self, B};\npub struct A(B);",
        ),
        (vec!["b".to_owned()], "pub struct B(Box<crate::A>);"),
    ]
    .map(|(module, text)| (module, text.to_owned()))
    .into();
    let [_, private, _] = named(&files[&["a".to_owned()][..]]);
    assert_eq!(private, ["crate::b::self", "crate::b::B"]);
    let [_, _, code] = named(&files[&["b".to_owned()][..]]);
    let used = defined(&files, &["b".to_owned()], &code[0], 0);
    assert_eq!(used, Some(vec!["a".to_owned()]));
}
