//! Tests how programs end.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

fn ends(how: &str, backtrace: &str) -> Output {
    let mut program = std::env::current_exe().unwrap();
    program.pop();
    program.set_file_name("examples");
    Command::new(program.join("ends"))
        .arg(how)
        .env("RUST_BACKTRACE", backtrace)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_panic_is_one_line_and_exit_code_1_wherever_it_comes() {
    for how in ["panic", "thread", "foreign"] {
        let output = ends(how, "0");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{how}: {said}");
        assert_eq!(said.lines().count(), 1, "{how}: {said}");
        let start = "error: internal error in ends: first line (crates/program/examples/ends.rs:";
        assert!(said.starts_with(start), "{how}: {said}");
        let whole = String::from_utf8(ends(how, "1").stderr).unwrap();
        assert!(
            whole.contains("second line") && whole.contains("backtrace"),
            "{how}: {whole}"
        );
    }
}

#[test]
fn a_panic_that_is_caught_is_not_told() {
    let output = ends("caught", "0");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn what_was_said_is_written_before_the_end() {
    let output = ends("", "0");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"said");
    assert_eq!(output.stderr, b"", "the failed program has printed it");
}
