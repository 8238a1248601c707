//! `cargo xtask report`, `worst` and `compare`: which evaluation and data set they find.

use crate::place::Place;

/// A checkout with runs `a` and `b`, each with an evaluation, and an `attend-report` that
/// prints its arguments, one on a line.
fn place() -> Place {
    let place = Place::new();
    place.script("bin/attend-report", "printf '%s\\n' \"$@\"");
    for run in ["a", "b"] {
        artifact(&place, &format!("{run}/dataset"), "dataset", "d1");
        evaluation(&place, &format!("{run}/evaluation"), 5);
    }
    place
}

fn artifact(place: &Place, path: &str, kind: &str, digest: &str) {
    let manifest = format!(r#"{{"kind": "{kind}", "digest": "{digest}"}}"#);
    place.write(&format!("artifacts/{path}/manifest.json"), &manifest);
}

fn evaluation(place: &Place, path: &str, images: u64) {
    let manifest = format!(
        r#"{{"kind": "evaluation", "digest": "e", "config": {{"evaluate": {{"split": "test"}}}},
            "counts": {{"images": {images}}}, "inputs": {{"dataset": {{"kind": "dataset", "digest": "d1"}}}}}}"#
    );
    place.write(&format!("artifacts/{path}/manifest.json"), &manifest);
}

#[test]
fn a_report_is_made_of_the_runs_evaluation_and_its_data_set() {
    let place = place();
    let at = |path: &str| place.path("artifacts").join(path).display().to_string();
    let made = place.xtask(&["report", "a", "--against", "b", "--jobs", "2"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let expected = [
        "--set".to_owned(),
        "report.name=\"a\"".into(),
        "--set".into(),
        format!("report.against={:?}", at("b/evaluation")),
        "--set".into(),
        "report.against_name=\"b\"".into(),
        "--input".into(),
        format!("evaluation={}", at("a/evaluation")),
        "--input".into(),
        format!("dataset={}", at("a/dataset")),
        "--discard".into(),
        "--output".into(),
        at("a/report"),
        "--jobs".into(),
        "2".into(),
    ];
    assert_eq!(made.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_report_needs_and_the_run_lacks_is_named() {
    let place = place();
    let refused = |arguments: &[&str], words: &str| {
        let outcome = place.xtask(arguments);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stdout);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    };
    // The data set was made again since.
    artifact(&place, "a/dataset", "dataset", "d2");
    refused(
        &["report", "a"],
        "name it with --dataset, or evaluate again",
    );
    let given = place.xtask(&["report", "a", "--dataset", "artifacts/b/dataset"]);
    assert!(
        given.stdout.contains("dataset=artifacts/b/dataset"),
        "{}",
        given.stdout
    );
    artifact(&place, "c/dataset", "dataset", "d1");
    refused(
        &["worst", "c"],
        "has no evaluation yet; `cargo xtask evaluate --run c` makes it",
    );
    evaluation(&place, "c/val", 5);
    let only = place.xtask(&["report", "c"]);
    assert!(only.stdout.contains("c/val"), "{}", only.stderr);
    evaluation(&place, "c/train", 5);
    refused(
        &["report", "c"],
        "several evaluations (train, val), and none is called evaluation",
    );
}

#[test]
fn options_of_worst_are_passed_on() {
    let place = place();
    let words = [
        "worst", "a", "--by", "rouge_l", "-n", "3", "--best", "--json", "--beam", "5",
    ];
    let printed = place.xtask(&words).stdout;
    let passed: Vec<&str> = printed.lines().skip(3).collect();
    let expected = [
        "--by", "rouge_l", "--number", "3", "--beam", "5", "--best", "--json",
    ];
    assert_eq!(passed, expected);
}

#[test]
fn two_runs_are_compared_pair_by_pair_if_they_are_of_the_same_images() {
    let place = place();
    let compared = place.xtask(&["compare", "a", "b", "--html", "out"]);
    assert_eq!(compared.code, Some(0), "{}", compared.stderr);
    assert!(
        compared.stdout.contains("\ncompare\n"),
        "{}",
        compared.stdout
    );
    assert!(
        compared.stdout.contains("--names\na\nb\n"),
        "{}",
        compared.stdout
    );
    assert!(
        compared.stdout.ends_with("--output\nout\n"),
        "{}",
        compared.stdout
    );
    evaluation(&place, "b/evaluation", 6);
    let other = place.xtask(&["compare", "a", "b"]);
    assert_eq!(other.code, Some(0));
    assert!(other.stderr.contains("on other images"), "{}", other.stderr);
    assert!(!other.stdout.contains("--names"), "{}", other.stdout);
    assert_eq!(
        place
            .xtask(&["compare", "a", "b", "a", "--html", "out"])
            .code,
        Some(2)
    );
    assert_eq!(
        place
            .xtask(&["compare", "a", "none-such", "--html", "out"])
            .code,
        Some(2)
    );
}
