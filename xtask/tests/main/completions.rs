//! Completion scripts, each run by its shell.

use crate::place::{Place, finish};
use std::process::Command;

/// Prints what a shell that has read the completion script offers; `None` if the shell is
/// not installed.
fn offered(place: &Place, shell: &str, program: &str) -> Option<String> {
    let script = place.xtask(&["completions", shell]);
    assert_eq!(script.code, Some(0), "{}", script.stderr);
    place.write("script", &script.stdout);
    let mut command = Command::new(shell);
    command.args(["-c", program]).current_dir(place.path(""));
    command.env("ATTEND_WORKSPACE", place.path(""));
    if Command::new(shell).arg("--version").output().is_err() {
        eprintln!("{shell} is not installed, so its script was not tried");
        return None;
    }
    let ended = finish(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Some(ended.stdout)
}

#[test]
fn bash_completes_tasks_names_and_parameters_and_leaves_cargo_s_own_alone() {
    let place = Place::new();
    place.write("configs/c.toml", "");
    place.write(
        "docs/parameters.md",
        "## `[learn]`\n\n| key | takes |\n|---|---|\n| `rate` | a number |\n",
    );
    let program = r#"
        compopt() { :; }
        old() { COMPREPLY=(of-cargo); }
        complete -F old cargo
        source ./script; source ./script
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _attend; echo "${COMPREPLY[*]}"; }
        try cargo xtask st
        try cargo xtask run ''
        try cargo xtask run two --from ''
        try cargo xtask run --config ''
        try cargo xtask run --set le
        try cargo xtask run --set other.
        try cargo bui
    "#;
    let offered = offered(&place, "bash", program).unwrap();
    let lines: Vec<&str> = offered.lines().collect();
    let [tasks, pipelines, stages, configs, keys, nothing, cargo] = lines[..] else {
        panic!("{offered}");
    };
    assert_eq!(tasks, "status stats");
    assert!(pipelines.starts_with("two --config "), "{pipelines}");
    assert_eq!(stages, "draw learn");
    assert_eq!(configs, "configs/c.toml");
    assert_eq!(keys, "learn.rate=");
    assert_eq!(nothing, "");
    assert_eq!(cargo, "of-cargo");
}

#[test]
fn zsh_and_fish_complete_names_with_what_they_mean() {
    let place = Place::new();
    let zsh = r#"
        compdef() { : }
        _describe() { print -rl -- "${(@P)3}" }
        source ./script
        words=(xtask run two --from ''); CURRENT=5; _cargo-xtask
        words=(cargo xtask stat); CURRENT=3; _cargo-xtask
    "#;
    if let Some(offered) = offered(&place, "zsh", zsh) {
        assert!(offered.starts_with("draw:\nlearn:\nstat"), "{offered}");
        assert!(offered.contains("\nstatus:Show the state"), "{offered}");
    }
    let fish = r#"
        source ./script
        complete -C "cargo xtask run two --from "
        complete -C "cargo xtask stat"
    "#;
    if let Some(offered) = offered(&place, "fish", fish) {
        assert!(offered.starts_with("draw\nlearn\nstat"), "{offered}");
        assert!(offered.contains("status\tShow the state"), "{offered}");
    }
}
