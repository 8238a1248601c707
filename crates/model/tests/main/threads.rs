//! The environment that libtorch's threads run in.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::process::Command;

const NAMES: [&str; 2] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"];

/// Prints the environment that it was started with; the other test runs this program for
/// it.
#[test]
#[ignore = "a part of the other test"]
fn environment() {
    let values = NAMES.map(|name| std::env::var(name).unwrap_or_default());
    eprintln!("<{}>", values.join(","));
}

fn seen(set: &[(&str, &str)], more: &[&str]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in NAMES {
        command.env_remove(name);
    }
    command.envs(set.iter().copied());
    command.args([
        "threads::environment",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    let output = command.args(more).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let (_, rest) = text.split_once('<').unwrap_or_else(|| panic!("{text}"));
    rest.split('>').next().unwrap().to_owned()
}

#[test]
fn threads_that_wait_spin_briefly_unless_the_user_says_otherwise() {
    assert_eq!(seen(&[], &[]), "10000,active");
    assert_eq!(seen(&[("GOMP_SPINCOUNT", "7")], &[]), "7,");
    assert_eq!(seen(&[("OMP_WAIT_POLICY", "passive")], &[]), ",passive");
    assert_eq!(seen(&[("OMP_WAIT_POLICY", "active")], &[]), ",active");
    // A program that computes nothing is not executed twice.
    assert_eq!(seen(&[], &["--skip", "--describe"]), ",");
}
