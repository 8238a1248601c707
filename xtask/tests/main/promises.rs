//! Checks that the tests named in docs/promises.md exist.

use std::path::{Path, PathBuf};

#[test]
fn every_promise_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for folder in ["crates", "tests", "xtask"] {
        read(&root.join(folder), &mut code);
    }
    let promises = std::fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let rows = promises.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<&str> = rows.skip(1).collect();
    assert!(rows.len() > 20);
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in tests.split(", ") {
            let test = test.trim_matches('`');
            let defined = format!("#[test]\nfn {test}(");
            assert!(code.contains(&defined), "{test}: no such test; {row}");
        }
    }
}

/// Appends the `#[test]` and `fn` lines of all Rust files below `folder`, unindented.
fn read(folder: &Path, code: &mut String) {
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let entries: Vec<PathBuf> = entries.collect();
    for path in entries {
        if path.is_dir() {
            read(&path, code);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::trim_start);
            let lines = lines.filter(|line| line.starts_with("#[test]") || line.starts_with("fn "));
            lines.for_each(|line| {
                code.push_str(line);
                code.push('\n');
            });
        }
    }
}
