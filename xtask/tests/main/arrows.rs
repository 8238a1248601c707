//! Checks that crates depend on each other as `ARCHITECTURE.md` says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Crates that take minutes to build, or need a download first.
const LIBTORCH: [&str; 2] = ["tch", "torch-sys"];
const ARROW: [&str; 2] = ["arrow-array", "parquet"];
const POLARS: [&str; 1] = ["polars"];

/// All crates that `package` is built with, without those of its tests.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let mut names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.remove(package), "{package}: {text}");
    names
}

/// The crates of `tree` that belong to this workspace.
fn ours(tree: &BTreeSet<String>) -> Vec<&str> {
    let names = tree.iter().map(String::as_str);
    names.filter(|name| name.starts_with("attend-")).collect()
}

#[track_caller]
fn links_none_of(tree: &BTreeSet<String>, crates: &[&str]) {
    let found = crates.iter().find(|name| tree.contains(**name));
    assert_eq!(found, None);
}

/// The runner is built first, before libtorch is installed.
#[test]
fn xtask_links_neither_libtorch_nor_arrow() {
    let tree = tree("xtask");
    assert_eq!(ours(&tree), ["attend-program"]);
    links_none_of(&tree, &[&LIBTORCH[..], &ARROW, &POLARS].concat());
}

#[test]
fn program_links_neither_libtorch_nor_arrow() {
    let tree = tree("attend-program");
    assert!(ours(&tree).is_empty());
    links_none_of(&tree, &[&LIBTORCH[..], &ARROW, &POLARS].concat());
}

#[test]
fn the_contract_knows_no_stage_and_no_tensor_library() {
    let tree = tree("attend-artifact");
    assert_eq!(ours(&tree), ["attend-program"]);
    links_none_of(&tree, &[&LIBTORCH[..], &POLARS].concat());
}

#[test]
fn metrics_and_image_stand_alone() {
    for package in ["attend-metrics", "attend-image"] {
        let tree = tree(package);
        assert!(ours(&tree).is_empty(), "{package}");
        links_none_of(&tree, &[&LIBTORCH[..], &ARROW, &POLARS].concat());
    }
}

#[test]
fn scores_and_figures_know_no_artifact() {
    let figure = tree("attend-figure");
    assert_eq!(ours(&figure), ["attend-image", "attend-program"]);
    links_none_of(&figure, &[&LIBTORCH[..], &ARROW, &POLARS].concat());
    let score = tree("attend-score");
    assert_eq!(ours(&score), ["attend-metrics", "attend-program"]);
    links_none_of(&score, &[&LIBTORCH[..], &POLARS].concat()); // --per-image is a table
}

/// It reads what others have made, and runs no model.
#[test]
fn the_report_links_no_tensor_library() {
    let tree = tree("attend-report");
    let expected = [
        "attend-artifact",
        "attend-image",
        "attend-metrics",
        "attend-program",
    ];
    assert_eq!(ours(&tree), expected);
    links_none_of(&tree, &[&LIBTORCH[..], &POLARS].concat());
}

/// Stages exchange artifacts only, and no crate links a stage or another program.
/// `attend-stats` is a program, too: polars is most of a full build.
#[test]
fn nobody_depends_on_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let folders = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (mut packages, mut programs) = (Vec::new(), BTreeSet::new());
    for folder in folders.filter(|folder| folder.join("Cargo.toml").is_file()) {
        let package = format!("attend-{}", folder.file_name().unwrap().display());
        if folder.join("src/main.rs").is_file() {
            programs.insert(package.clone());
        }
        packages.push(package);
    }
    assert!(programs.contains("attend-train") && programs.contains("attend-stats"));
    for package in packages {
        let tree = tree(&package);
        let found = ours(&tree)
            .into_iter()
            .find(|name| programs.contains(*name));
        assert_eq!(found, None, "{package} depends on it");
        if package != "attend-stats" {
            links_none_of(&tree, &POLARS);
        }
    }
}

/// It may be asked for before anything is installed.
#[test]
fn fetch_links_neither_libtorch_nor_arrow() {
    let tree = tree("attend-fetch");
    assert_eq!(ours(&tree), ["attend-program"]);
    links_none_of(&tree, &[&LIBTORCH[..], &ARROW, &POLARS].concat());
}
