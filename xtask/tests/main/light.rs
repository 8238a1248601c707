//! What makes xtask the first thing that everybody builds.

use std::process::Command;

#[test]
fn links_neither_libtorch_nor_arrow() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "xtask",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(
        tree.contains("xtask v") && tree.contains("clap v"),
        "{tree}"
    );
    let heavy = ["torch-sys", "tch", "arrow", "parquet", "polars"];
    let is_heavy = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        let ours = name.starts_with("attend-") && name != "attend-program";
        heavy.contains(&name) || ours
    };
    assert_eq!(tree.lines().find(is_heavy), None);
}
