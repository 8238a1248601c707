use crate::place::{Place, finish};

#[test]
fn without_a_task_all_tasks_are_listed() {
    let outcome = Place::new().xtask(&[]);
    assert_eq!(outcome.code, Some(0));
    for task in [
        "setup",
        "demo",
        "preprocess",
        "train",
        "evaluate",
        "caption",
        "run",
        "status",
        "verify",
        "clean",
        "test",
        "doctor",
    ] {
        let lines = outcome
            .stdout
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(task))
            .count();
        assert_eq!(lines, 1, "{task} in\n{}", outcome.stdout);
    }
}

#[test]
fn status_and_clean() {
    let place = Place::new();
    assert_eq!(place.xtask(&["status"]).stdout, "no runs in artifacts\n");
    place.write(
        "artifacts/r/model/manifest.json",
        r#"{"kind": "model", "digest": "00112233445566778899", "counts": {"epochs": 4}}"#,
    );
    place.write("artifacts/r/dataset/manifest.json", "{");
    place.write("artifacts/r/features.staging/shard", "12345");
    place.write("artifacts/r/features.staging/.journal.jsonl", "");
    let status = place.xtask(&["status"]).stdout;
    let lines: Vec<Vec<&str>> = status
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][0], "r");
    assert_eq!(lines[1][..2], ["dataset", "damaged"]);
    assert_eq!(lines[2][..4], ["features.staging", "unfinished", "5", "B"]);
    assert_eq!(
        lines[3],
        ["model", "made", "001122334455", "76", "B", "epochs", "4"]
    );

    assert_eq!(place.xtask(&["clean"]).code, Some(2));
    assert_eq!(
        place.xtask(&["clean", "--staging", "--yes"]).stdout,
        "deleted artifacts/r/features.staging (5 B)\n"
    );
    let told = place.xtask(&["clean", "r", "--dry-run"]).stdout;
    assert!(told.contains("would delete artifacts/r/model ("), "{told}");
    let kept = place.xtask(&["clean", "--config", "c.toml"]);
    assert_eq!(kept.code, Some(2));
    assert_eq!(
        kept.stderr,
        "error: artifacts/r holds a trained model: give --yes to delete it\n"
    );
    assert!(place.path("artifacts/r/model").exists());
    assert_eq!(
        place.xtask(&["clean", "--config", "c.toml", "--yes"]).code,
        Some(0)
    );
    assert!(!place.path("artifacts/r").exists());
}

#[test]
fn unfinished_work_is_deleted_only_where_somebody_says_so() {
    let place = Place::new();
    for run in ["r", "s"] {
        place.write(
            &format!("artifacts/{run}/model.staging/checkpoints/last/state.json"),
            "12345",
        );
        place.write(&format!("artifacts/{run}/model.staging/.journal.jsonl"), "");
    }
    // A stage was killed before it made anything.
    place.write("artifacts/s/dataset.staging/.journal.jsonl", "");
    // Somebody's own folder.
    place.write("artifacts/s/mine.staging/thesis.txt", "12345");
    let asked = place.xtask(&["clean", "--staging"]);
    assert_eq!(asked.code, Some(2));
    assert_eq!(
        asked.stdout,
        "artifacts/r/model.staging (5 B)\nartifacts/s/dataset.staging (0 B)\nartifacts/s/model.staging (5 B)\n"
    );
    assert_eq!(
        asked.stderr,
        "error: this is unfinished work, which its stages would continue: give --yes to delete it\n"
    );
    assert_eq!(place.xtask(&["clean", "--config", "c.toml"]).code, Some(2));
    assert!(
        place
            .xtask(&["clean", "--staging", "no"])
            .stderr
            .contains("no such run")
    );
    assert_eq!(
        place.xtask(&["clean", "--staging", "s", "--yes"]).stdout,
        "deleted artifacts/s/dataset.staging (0 B)\ndeleted artifacts/s/model.staging (5 B)\n"
    );
    assert!(place.path("artifacts/s/mine.staging/thesis.txt").exists());
    assert!(place.path("artifacts/r/model.staging").exists());
}

#[test]
fn clean_leaves_what_no_stage_has_made() {
    let place = Place::new();
    place.write(
        "artifacts/r/vocabulary/manifest.json",
        r#"{"kind": "vocabulary", "digest": "0"}"#,
    );
    place.write("artifacts/r/vocabulary.lock", "process 7 on box\n");
    place.write("artifacts/r/config/vocab.toml", "");
    place.write("artifacts/r/thesis/chapter.txt", "12345");
    let cleaned = place.xtask(&["clean", "--config", "c.toml"]);
    assert_eq!(
        cleaned.stdout,
        "deleted what the stages made in artifacts/r\nkept artifacts/r/thesis: no stage made it\n"
    );
    assert_eq!(crate::place::names(&place.path("artifacts/r")), ["thesis"]);
}

#[test]
fn what_a_stage_is_writing_is_not_deleted() {
    let place = Place::new();
    place.write("artifacts/r/features.staging/shard", "12345");
    place.write("artifacts/r/features.staging/.journal.jsonl", "");
    place.write("artifacts/r/features.lock", "");
    let lock = std::fs::File::open(place.path("artifacts/r/features.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        place.xtask(&["clean", "--staging", "--yes"]).stdout,
        "artifacts/r/features.staging is being written: kept\n"
    );
    assert!(place.xtask(&["status"]).stdout.contains("running"));
    assert_eq!(
        place.xtask(&["clean", "--config", "c.toml", "--yes"]).code,
        Some(2)
    );
    assert!(place.path("artifacts/r/features.staging/shard").exists());
}

#[test]
fn serve_finds_the_model() {
    let place = Place::new();
    place.script("bin/attend-serve", "echo \"$*\"");
    let none = place.xtask(&["serve"]);
    assert_eq!(none.code, Some(2));
    place.write(
        "artifacts/r/model/manifest.json",
        r#"{"kind": "model", "digest": "0"}"#,
    );
    let one = place.xtask(&["serve", "--run", "r", "--open", "--listen=0.0.0.0:80"]);
    assert!(
        one.stdout.starts_with("--model ")
            && (one.stdout).ends_with("artifacts/r/model --open --listen=0.0.0.0:80\n"),
        "{}",
        one.stdout
    );
}

#[test]
fn caption_finds_the_model() {
    let place = Place::new();
    place.script("bin/attend-caption", "echo \"$*\"");
    let none = place.xtask(&["caption", "a.jpg"]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.stderr.contains("no run has a model yet"),
        "{}",
        none.stderr
    );
    place.write(
        "artifacts/r/model/manifest.json",
        r#"{"kind": "model", "digest": "0"}"#,
    );
    let one = place.xtask(&["caption", "--beam", "5", "a.jpg", "--attention=out"]);
    assert!(
        one.stdout.starts_with("--model ")
            && one
                .stdout
                .ends_with("artifacts/r/model --beam 5 a.jpg --attention=out\n"),
        "{}",
        one.stdout
    );
    // A model of an earlier training stage is not the one to describe with.
    place.write(
        "artifacts/r/frozen/manifest.json",
        r#"{"kind": "model", "digest": "0"}"#,
    );
    let still_one = place.xtask(&["caption", "a.jpg"]);
    assert!(
        still_one.stdout.ends_with("artifacts/r/model a.jpg\n"),
        "{}",
        still_one.stderr
    );
    place.write(
        "artifacts/s/model/manifest.json",
        r#"{"kind": "model", "digest": "0"}"#,
    );
    let several = place.xtask(&["caption", "a.jpg"]);
    assert!(
        several
            .stderr
            .contains("artifacts/r/model, artifacts/s/model"),
        "{}",
        several.stderr
    );
    assert!(
        place
            .xtask(&["caption", "a.jpg", "--config", "c.toml"])
            .stdout
            .ends_with("artifacts/r/model a.jpg\n")
    );
    assert_eq!(
        place.xtask(&["caption", "--model", "m", "-"]).stdout,
        "--model m -\n"
    );
    // A run's name stands for its model.
    let of_run = place.xtask(&["caption", "--model", "s", "-"]).stdout;
    assert!(of_run.ends_with("artifacts/s/model -\n"), "{of_run}");
}

#[test]
fn clean_takes_only_its_own_from_the_cache() {
    let place = Place::new();
    for name in [
        "libtorch-2.11.0-x/build-version",
        "bench-torch-1/torch/version.py",
        "bench-torch-1.part/torch/version.py",
        "meteor-1.5/meteor-1.5.jar",
        "downloads/a.whl",
        "ci-target/keep",
        "own-file",
    ] {
        place.write(&format!("cache/{name}"), "12345");
    }
    assert_eq!(place.xtask(&["clean", "--cache"]).code, Some(0));
    assert_eq!(
        crate::place::names(&place.path("cache")),
        [".lock", "ci-target", "own-file"]
    );
}

#[test]
fn names_move_no_cursor() {
    let place = Place::new();
    let name = "a\u{1b}[2J\u{9b}1m\rb\u{202e}c\u{7}";
    let shown = "a\\u{1b}[2J\\u{9b}1m\\rb\\u{202e}c\\u{7}";
    place.write(
        &format!("artifacts/{name}/model/manifest.json"),
        &format!(
            r#"{{"kind": "m\u001bodel", "digest": "0", "config": {{"train": {{"x": "{}"}}}}}}"#,
            "\\u001b]0;"
        ),
    );
    let clean = |text: &str| {
        let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(hostile), "{text:?}");
    };
    let status = place.xtask(&["status"]);
    clean(&status.stdout);
    assert!(status.stdout.contains(shown), "{}", status.stdout);
    let compare = place.xtask(&["compare", name, name]);
    clean(&compare.stdout);
    let json = place.xtask(&["compare", "--json", name, name]);
    clean(&json.stdout);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(value.get(name).is_some(), "{}", json.stdout);
    let error = place.xtask(&["compare", "none\u{1b}[2J\u{9b}", name]);
    assert_eq!(error.code, Some(2));
    clean(&error.stderr);
    assert!(error.stderr.contains("none\\u{1b}[2J"), "{}", error.stderr);
}

#[test]
fn a_name_that_is_no_utf8_can_be_captioned() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.script(
        "bin/attend-caption",
        "for image; do :; done; printf %s \"$image\" | od -An -tx1",
    );
    place.write(
        "artifacts/r/model/manifest.json",
        r#"{"kind": "model", "digest": "0"}"#,
    );
    let mut command = place.command(&["caption", "--beam=2"]);
    let outcome = finish(command.arg(std::ffi::OsStr::from_bytes(b"a\xe9")));
    assert_eq!(outcome.stdout.trim(), "61 e9", "{}", outcome.stderr);
}
