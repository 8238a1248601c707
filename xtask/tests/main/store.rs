//! Artifacts that runs share, the reasons for which stages run, and what is deleted.

use crate::place::{Outcome, Place, names};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A place whose stages leave artifacts as ours do: with a digest of what they were made
/// from, their files, and the loose files that they read.
fn place() -> Place {
    let place = Place::new();
    for (name, output, inputs, parameters, loose) in [
        (
            "draw",
            "alpha",
            "",
            r#"{"draw": {"count": 3, "root": ""}}"#,
            true,
        ),
        (
            "count",
            "words",
            r#"{"kind": "alpha", "required": true}"#,
            r#"{"count": {"least": 1}}"#,
            false,
        ),
        (
            "learn",
            "model",
            r#"{"kind": "alpha", "required": true}, {"kind": "words", "required": true}"#,
            r#"{"learn": {"rate": 0.5, "seed": 1, "log": 1}}"#,
            false,
        ),
    ] {
        let sources = match loose {
            true => {
                let photo = place.path("photo").display().to_string();
                format!("stat -c '[\"%n\", %s, %.9Y]' '{photo}' | sed 's/\\.\\([0-9]*\\)]/\\1]/'")
            }
            false => "true".to_owned(),
        };
        place.script(
            &format!("bin/{name}"),
            &format!(
                r#"if [ "$1" = --describe ]; then
  echo '{{"name": "{name}", "version": "1", "inputs": [{inputs}], "output": "{output}", "parameters": {parameters}, "unrecorded": ["draw.root", "learn.log"], "paths": ["draw.root"], "extends": {extends}, "discard": true}}'
  exit 0
fi
echo "{name} $*" >> '{log}'
made="{name}"
while [ $# -gt 0 ]; do
  case "$1" in
    --config) made="$made $(grep -v -e '^#' -e log "$2")"; config="$2" ;;
    --input) kind=${{2%%=*}}; from=${{2#*=}}; digest=$(sed 's/^{{"kind": "[a-z]*", "digest": "\([0-9a-f]*\)".*/\1/;q' "$from/manifest.json")
      made="$made $digest"; given="$given${{given:+, }}\"$kind\": {{\"digest\": \"$digest\"}}" ;;
    --output) out=$2 ;;
  esac
  shift
done
{{ [ -e '{fail}' ] && echo "error: {name} broke" >&2 && exit 3; }}
[ -e '{slow}' ] && sleep 0.5
mkdir -p "$out"
printf '%s' "$made" > "$out/.content.$$"
[ -e '{photo}' ] && cat '{photo}' >> "$out/.content.$$"
mv "$out/.content.$$" "$out/content"
digest=$(sha256sum < "$out/content" | cut -c1-64)
{sources} > "$out/.sources"
echo '{{"seconds": 7300}}' > "$out/.work.json"
config=$(sed -n 's/^\([a-z]*\) = \(.*\)$/"\1": \2/p' "$config" | grep -v -e root -e log | paste -sd,)
cat > "$out/.manifest.$$" <<END
{{"kind": "{output}", "digest": "$digest", "producer": {{"name": "{name}", "version": "1"}}, "config": {{"{section}": {{$config}}}}, "inputs": {{$given}}, "files": [{{"name": "content", "bytes": $(stat -c %s "$out/content"), "blake3": "$digest"}}], "counts": {{"things": 5}}}}
END
mv "$out/.manifest.$$" "$out/manifest.json""#,
                log = place.path("log").display(),
                fail = place.path(&format!("fail-{name}")).display(),
                slow = place.path("slow").display(),
                photo = place.path(if loose { "photo" } else { "none" }).display(),
                extends = name == "learn",
                section = name,
            ),
        );
    }
    place.write(
        "pipelines/three.toml",
        r#"
[[stage]]
name = "draw"
command = ["draw"]
output = "alpha"

[[stage]]
name = "count"
command = ["count"]
inputs = { alpha = "alpha" }
output = "words"

[[stage]]
name = "learn"
command = ["learn"]
inputs = { alpha = "alpha", words = "words" }
output = "model"
"#,
    );
    place.write("photo", "a photograph");
    place.write("c.toml", "[run]\nname = \"r\"\npipeline = \"three\"\n");
    place
}

const RUN: [&str; 4] = ["run", "three", "--config", "c.toml"];

#[track_caller]
fn run(place: &Place, more: &[&str]) -> Outcome {
    let outcome = place.xtask(&[&RUN[..], more].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

/// The names of the stages that have run since the last call.
fn ran(place: &Place) -> Vec<String> {
    let log = place.log();
    std::fs::remove_file(place.path("log")).ok();
    let mut names: Vec<String> = (log.iter())
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Stage, state and reasons, from `status --json`.
fn status(place: &Place, run: &str) -> Vec<(String, String, String)> {
    let json: Value = serde_json::from_str(&place.xtask(&["status", "--json"]).stdout).unwrap();
    let stages = json[run]["stages"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    stages
        .map(|stage| {
            let why = stage["why"].as_array().unwrap().iter().map(text);
            let why = why.collect::<Vec<_>>().join("; ");
            (text(&stage["stage"]), text(&stage["state"]), why)
        })
        .collect()
}

fn states(place: &Place) -> Vec<String> {
    status(place, "r")
        .into_iter()
        .map(|(_, state, _)| state)
        .collect()
}

#[test]
fn runs_that_differ_in_a_seed_share_everything_before_it() {
    let place = place();
    run(&place, &[]);
    assert_eq!(ran(&place), ["count", "draw", "learn"]);
    for seed in 2..=20 {
        let (seed, name) = (format!("learn.seed={seed}"), format!("run.name=r{seed}"));
        run(&place, &["--set", &seed, "--set", &name]);
    }
    assert_eq!(ran(&place), ["learn"; 19]);
    let store = names(&place.path("artifacts/.store"));
    let artifacts = |kind: &str| {
        let is_artifact = |name: &&String| name.starts_with(kind) && !name.contains('.');
        store.iter().filter(is_artifact).count()
    };
    assert_eq!(["alpha", "words", "model"].map(artifacts), [1, 1, 20]);
    // Nothing to do, also where the artifacts were moved or copied to.
    let copied = std::process::Command::new("cp")
        .args(["-r", "artifacts", "copy"])
        .current_dir(place.path(""))
        .status();
    assert!(copied.unwrap().success());
    std::fs::rename(place.path("artifacts"), place.path("moved")).unwrap();
    for folder in ["copy", "moved"] {
        let outcome = run(&place, &["--artifacts", folder]);
        assert_eq!(ran(&place), [""; 0]);
        assert_eq!(
            outcome.stderr.matches("up to date").count(),
            3,
            "{}",
            outcome.stderr
        );
    }
}

/// The table of what runs after a change in docs/runs.md, with the reason that is given.
#[test]
fn a_change_runs_these_stages_and_no_others() {
    let place = place();
    run(&place, &[]);
    ran(&place);
    let change = |arguments: &[&str], reasons: &[(&str, &str)]| {
        let told = place.xtask(&[&RUN[..], arguments, &["--dry-run"]].concat());
        assert_eq!(ran(&place), [""; 0], "a dry run starts no stage");
        let outcome = run(&place, arguments);
        let mut names: Vec<&str> = reasons.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        assert_eq!(ran(&place), names, "{arguments:?}");
        for (name, reason) in reasons {
            let line = format!("{name}: {reason}");
            assert!(outcome.stderr.contains(&line), "{line}\n{}", outcome.stderr);
            assert!(
                told.stdout.contains(&format!("{name} would run")),
                "{}",
                told.stdout
            );
        }
        let (name, reason) = reasons[0];
        let line = format!("{name} would run: {reason}");
        assert!(told.stdout.contains(&line), "{line}\n{}", told.stdout);
    };
    change(
        &["--set", "learn.seed=2"],
        &[("learn", "learn.seed 1 -> 2")],
    );
    change(
        &["--set", "learn.seed=2", "--set", "count.least=3"],
        &[
            ("count", "count.least 1 -> 3"),
            ("learn", "input words changed: content"),
        ],
    );
    change(
        &[
            "--set",
            "draw.count=4",
            "--set",
            "count.least=3",
            "--set",
            "learn.seed=2",
        ],
        &[
            ("draw", "draw.count 3 -> 4"),
            ("count", "input alpha changed: content"),
            ("learn", "input alpha changed: content"),
        ],
    );
    // What was made before is in the store yet.
    run(&place, &[]);
    assert_eq!(ran(&place), [""; 0]);
    place.write("photo", "another photograph");
    change(
        &[],
        &[
            ("draw", "1 loose file or folder changed: photo"),
            ("count", "input alpha changed: content"),
            ("learn", "input alpha changed: content"),
        ],
    );
    // A parameter that does not shape the artifact.
    run(&place, &["--set", "learn.log=5"]);
    assert_eq!(ran(&place), [""; 0]);
    for name in ["draw", "count", "learn"] {
        let path = format!("bin/{name}");
        let script = place
            .read(&path)
            .replacen("\"version\": \"1\"", "\"version\": \"2\"", 1);
        place.script(&path, script.strip_prefix("#!/bin/sh\n").unwrap());
    }
    let told = place.xtask(&[&RUN[..], &["--dry-run"]].concat()).stdout;
    assert!(
        told.contains("draw would run: producer 1 -> 2 (what is there took 2 h 1 min)"),
        "{told}"
    );
}

#[test]
fn status_says_the_state_of_every_stage_and_why() {
    let place = place();
    place.write("fail-learn", "");
    assert_eq!(place.xtask(&RUN).code, Some(3));
    assert_eq!(states(&place), ["fresh", "fresh", "missing"]);
    std::fs::remove_file(place.path("fail-learn")).unwrap();
    run(&place, &[]);
    assert_eq!(states(&place), ["fresh"; 3]);

    std::fs::remove_file(place.path("artifacts/r/words/content")).unwrap();
    let told = status(&place, "r");
    assert_eq!(told[1].1, "damaged");
    assert_eq!(told[1].2, "1 file is damaged or gone: content");
    assert_eq!(
        (told[2].1.as_str(), told[2].2.as_str()),
        ("fresh", ""), // it stays, because the same words will be made again
    );
    let told = place.xtask(&[&RUN[..], &["--dry-run"]].concat()).stdout;
    assert!(
        told.contains("count would run: 1 file is damaged or gone"),
        "{told}"
    );
    assert!(told.contains("learn is up to date"), "{told}");
    run(&place, &[]);
    assert_eq!(states(&place), ["fresh"; 3]);

    place.write("photo", "a longer photograph");
    let told = status(&place, "r");
    assert_eq!(
        (told[0].1.as_str(), told[0].2.as_str()),
        ("stale", "1 loose file or folder changed: photo")
    );

    // A stage that is running, and one that was killed.
    let model = std::fs::canonicalize(place.path("artifacts/r/model")).unwrap();
    let name = model.file_name().unwrap().to_string_lossy().into_owned();
    place.write("photo", "a photograph");
    run(&place, &[]);
    place.write(&format!("artifacts/.store/{name}.staging/shard"), "x");
    assert_eq!(states(&place)[2], "unfinished");
    place.write(&format!("artifacts/.store/{name}.lock"), "process 1\n");
    let lock = std::fs::File::open(place.path(&format!("artifacts/.store/{name}.lock"))).unwrap();
    lock.lock().unwrap();
    assert_eq!(states(&place)[2], "running");
    drop(lock);
    let text = place.xtask(&["status", "r"]).stdout;
    assert!(text.starts_with("r  ("), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert_eq!(place.xtask(&["status", "none"]).code, Some(2));
}

#[test]
fn what_a_run_needs_is_kept_and_the_rest_is_deleted() {
    let place = place();
    run(&place, &[]);
    run(
        &place,
        &["--set", "run.name=other", "--set", "learn.seed=2"],
    );
    assert!(
        place
            .xtask(&["gc", "--dry-run"])
            .stdout
            .contains("every artifact is needed")
    );
    // An interrupted training is needed by its run, too.
    place.write("fail-learn", "");
    let third = ["--set", "run.name=third", "--set", "learn.seed=3"];
    assert_eq!(place.xtask(&[&RUN[..], &third].concat()).code, Some(3));
    let next = std::fs::read_link(place.path("artifacts/third/model.next")).unwrap();
    let begun = format!(
        "artifacts/.store/{}",
        next.file_name().unwrap().to_string_lossy()
    );
    place.write(&format!("{begun}.staging/checkpoints/x"), "work");
    assert!(
        place
            .xtask(&["gc", "--yes"])
            .stdout
            .contains("every artifact is needed")
    );

    // The run's own model goes, what it shares stays.
    assert_eq!(
        place.xtask(&["clean", "other"]).code,
        Some(2),
        "asks before it deletes a model"
    );
    let cleaned = place.xtask(&["clean", "other", "--yes"]);
    assert_eq!(
        cleaned.stdout.matches("deleted ").count(),
        2,
        "{}",
        cleaned.stdout
    );
    assert_eq!(states(&place), ["fresh"; 3]);
    let asked = place.xtask(&["clean", "--config", "c.toml", "--set", "run.name=third"]);
    assert!(
        asked.stderr.contains("holds unfinished work"),
        "{}",
        asked.stderr
    );
    assert!(
        place
            .path(&format!("{begun}.staging/checkpoints/x"))
            .exists()
    );

    std::fs::remove_dir_all(place.path("artifacts/third")).unwrap();
    let listed = place.xtask(&["gc", "--dry-run"]);
    assert!(
        listed.stdout.contains("unfinished work"),
        "{}",
        listed.stdout
    );
    assert_eq!(place.xtask(&["gc"]).code, Some(2), "asks");
    assert_eq!(place.xtask(&["gc", "--yes"]).code, Some(0));
    assert!(!place.path(&format!("{begun}.staging")).exists());
    assert_eq!(states(&place), ["fresh"; 3]);
}

#[test]
fn folders_of_before_the_store_are_taken_over() {
    let place = place();
    run(&place, &[]);
    ran(&place);
    // As it was: the artifacts lie in the run's folder.
    for name in ["alpha", "words", "model"] {
        let link = place.path(&format!("artifacts/r/{name}"));
        let real = std::fs::canonicalize(&link).unwrap();
        std::fs::remove_file(&link).unwrap();
        std::fs::rename(&real, &link).unwrap();
    }
    std::fs::remove_dir_all(place.path("artifacts/.store")).unwrap();
    let outcome = run(&place, &[]);
    assert_eq!(
        outcome.stderr.matches("is in the store now").count(),
        3,
        "{}",
        outcome.stderr
    );
    assert_eq!(ran(&place), [""; 0]);
    assert!(place.path("artifacts/r/model").is_symlink());

    // A folder that the user has linked stays where it is; its stage decides.
    std::fs::remove_file(place.path("artifacts/r/alpha")).unwrap();
    let store = names(&place.path("artifacts/.store"));
    let alpha = store
        .iter()
        .find(|name| name.starts_with("alpha-"))
        .unwrap();
    std::fs::rename(
        place.path(&format!("artifacts/.store/{alpha}")),
        place.path("mine"),
    )
    .unwrap();
    std::os::unix::fs::symlink("../../mine", place.path("artifacts/r/alpha")).unwrap();
    run(&place, &[]);
    assert_eq!(ran(&place), ["draw"]);
    assert!(place.path("mine/manifest.json").is_file());
    assert_eq!(
        std::fs::read_link(place.path("artifacts/r/alpha"))
            .unwrap()
            .to_str(),
        Some("../../mine")
    );
}

#[test]
fn a_pinned_run_ends_with_its_artifacts_or_not_at_all() {
    let place = place();
    assert_eq!(place.xtask(&["lock", "r"]).code, Some(2));
    run(&place, &[]);
    assert_eq!(
        place.xtask(&[&RUN[..], &["--locked"]].concat()).code,
        Some(2),
        "not pinned"
    );
    assert_eq!(
        place.xtask(&["lock", "r"]).stdout,
        "artifacts/r/lock.toml: 3 artifacts\n"
    );
    run(&place, &["--locked"]);
    let other = place.xtask(&[&RUN[..], &["--locked", "--set", "count.least=2"]].concat());
    assert_eq!(other.code, Some(4));
    assert!(
        other
            .stderr
            .contains("count was made with other parameters"),
        "{}",
        other.stderr
    );
    ran(&place);
    // The same parameters, but the photographs have changed: what comes out differs.
    std::fs::remove_dir_all(std::fs::canonicalize(place.path("artifacts/r/alpha")).unwrap())
        .unwrap();
    run(&place, &["--locked"]);
    assert_eq!(ran(&place), ["draw"]);
    place.write("photo", "another one");
    let other = place.xtask(&[&RUN[..], &["--locked"]].concat());
    assert_eq!(other.code, Some(4));
    assert!(other.stderr.contains("and pinned to"), "{}", other.stderr);
}

#[test]
fn stages_are_chosen_forced_and_kept_going() {
    let place = place();
    let early = place.xtask(&[&RUN[..], &["--only", "learn"]].concat());
    assert_eq!(early.code, Some(2));
    assert!(
        early
            .stderr
            .contains("its input artifacts/r/alpha does not exist"),
        "{}",
        early.stderr
    );
    run(&place, &["--to", "count"]);
    assert_eq!(ran(&place), ["count", "draw"]);
    run(&place, &["--only", "learn"]);
    assert_eq!(ran(&place), ["learn"]);
    run(&place, &["--force", "count"]);
    assert_eq!(ran(&place), ["count"]);
    run(&place, &["--force"]);
    assert_eq!(ran(&place), ["count", "draw", "learn"]);
    assert_eq!(
        place
            .xtask(&[&RUN[..], &["--force", "cuont"]].concat())
            .code,
        Some(2)
    );
    // By the run's name: the parameters that it was given last.
    run(&place, &["--set", "learn.seed=7"]);
    ran(&place);
    let by_name = place.xtask(&["run", "--run", "r"]);
    assert_eq!(by_name.code, Some(0), "{}", by_name.stderr);
    assert_eq!(ran(&place), [""; 0]);
    assert_eq!(place.xtask(&["run", "--run", "none"]).code, Some(2));

    place.write("fail-count", "");
    let config = "[run]\nname = \"k\"\npipeline = \"fork\"\n";
    place.write("k.toml", config);
    place.write(
        "pipelines/fork.toml",
        &place.read("pipelines/three.toml").replace("alpha = \"alpha\", words = \"words\"", "alpha = \"alpha\", words = \"other\"").replace(
            "[[stage]]\nname = \"learn\"",
            "[[stage]]\nname = \"again\"\ncommand = [\"draw\"]\noutput = \"more\"\n\n[[stage]]\nname = \"third\"\ncommand = [\"count\"]\ninputs = { alpha = \"more\" }\noutput = \"other\"\n\n[[stage]]\nname = \"learn\"",
        ),
    );
    let fork = [
        "run",
        "fork",
        "--config",
        "k.toml",
        "--set",
        "count.least=9",
    ];
    let stopped = place.xtask(&fork);
    assert_eq!(stopped.code, Some(3), "{}", stopped.stderr);
    ran(&place);
    let kept = place.xtask(&[&fork[..], &["--keep-going", "--at-once", "1"]].concat());
    assert_eq!(kept.code, Some(3));
    assert_eq!(ran(&place), ["count", "count"], "{}", kept.stderr);
}

#[test]
fn stages_that_do_not_wait_for_each_other_run_at_once() {
    let place = place();
    place.write("slow", "");
    let wide: String = ["a", "b", "c", "d"]
        .iter()
        .map(|name| format!("[[stage]]\nname = \"{name}\"\ncommand = [\"draw\"]\noutput = \"{name}\"\nsections = {{ draw = \"draw-{name}\" }}\n\n"))
        .collect();
    place.write("pipelines/wide.toml", &wide);
    place.write(
        "w.toml",
        "[run]\nname = \"w\"\n\n[draw-a]\ncount = 1\n[draw-b]\ncount = 2\n[draw-c]\ncount = 4\n",
    );
    let time = |more: &[&str]| {
        let started = Instant::now();
        let outcome = place.xtask(&[&["run", "wide", "--config", "w.toml"], more].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        started.elapsed()
    };
    assert!(time(&["--at-once", "1"]) >= Duration::from_secs(2));
    std::fs::remove_dir_all(place.path("artifacts")).unwrap();
    // Four sleep half a second each; even a busy machine sleeps at once.
    assert!(time(&[]) < Duration::from_millis(1900));
}

#[test]
fn a_pipeline_is_drawn() {
    let place = place();
    let text = place.xtask(&["graph", "three"]).stdout;
    assert!(text.contains("learn  alpha, words  model  learn"), "{text}");
    let mermaid = place
        .xtask(&["graph", "three", "--format", "mermaid"])
        .stdout;
    assert!(
        mermaid.contains("    count -- words --> learn\n"),
        "{mermaid}"
    );
    let dot = place.xtask(&["graph", "three", "--format", "dot"]).stdout;
    assert!(
        dot.contains("\"draw\" -> \"learn\" [label = \"alpha\"];"),
        "{dot}"
    );
}

#[test]
fn two_runs_are_compared_artifact_by_artifact() {
    let place = place();
    run(&place, &[]);
    run(
        &place,
        &["--set", "run.name=other", "--set", "count.least=2"],
    );
    let told = place.xtask(&["diff", "r", "other"]).stdout;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("alpha  same     "), "{told}");
    assert_eq!(lines[1], "model  differs  input words changed: content");
    assert_eq!(lines[2], "words  differs  count.least 1 -> 2");
    let json: Value =
        serde_json::from_str(&place.xtask(&["diff", "r", "other", "--json"]).stdout).unwrap();
    assert_eq!(json["alpha"]["same"], true);
    assert_eq!(json["words"]["why"][0], "count.least 1 -> 2");
    assert_eq!(place.xtask(&["diff", "r", "none"]).code, Some(2));
}

/// A stage that goes on from output of other parameters gets a copy of it at the new place;
/// until it has made its own, the copy is nothing.
#[test]
fn a_copy_to_go_on_from_is_never_taken_for_the_artifact() {
    let place = place();
    run(&place, &[]);
    let model = place.read("artifacts/r/model/content");
    ran(&place);
    let seed = ["--set", "learn.seed=2"];
    place.write("fail-learn", "");
    assert_eq!(place.xtask(&[&RUN[..], &seed].concat()).code, Some(3));
    let told = status(&place, "r");
    assert_eq!(told[2].1, "stale", "{told:?}");
    let again = place.xtask(&[&RUN[..], &seed].concat());
    assert_eq!(again.code, Some(3), "{}", again.stderr);
    std::fs::remove_file(place.path("fail-learn")).unwrap();
    ran(&place);
    run(&place, &seed);
    assert_eq!(ran(&place), ["learn"]);
    assert!(place.read("artifacts/r/model/content").contains("seed = 2"));
    run(&place, &[]);
    assert_eq!(ran(&place), [""; 0]);
    assert_eq!(place.read("artifacts/r/model/content"), model);
}

/// A stage of another team may say that it has nothing to do without looking at its files.
#[test]
fn a_stage_that_leaves_its_artifact_damaged_has_not_succeeded() {
    let place = place();
    run(&place, &[]);
    let script = place.read("bin/count");
    let lazy = script.replace(
        "mkdir -p \"$out\"",
        "[ -e \"$out/manifest.json\" ] && exit 0\nmkdir -p \"$out\"",
    );
    place.script("bin/count", lazy.strip_prefix("#!/bin/sh\n").unwrap());
    std::fs::remove_file(place.path("artifacts/r/words/content")).unwrap();
    let outcome = place.xtask(&RUN);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("`--force count` makes it again"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_refused_attempt_leaves_the_run_as_it_was_given() {
    let place = place();
    run(&place, &[]);
    place.xtask(&["lock", "r"]);
    let given = place.read("artifacts/r/config/run.toml");
    // On this machine, and as jobs elsewhere.
    for elsewhere in [&[][..], &["--emit", "make"]] {
        let other = ["--locked", "--set", "count.least=2"];
        let refused = place.xtask(&[&RUN[..], &other, elsewhere].concat());
        assert_eq!(refused.code, Some(4), "{}", refused.stderr);
        assert_eq!(place.read("artifacts/r/config/run.toml"), given);
    }
    assert_eq!(states(&place), ["fresh"; 3]);
}

#[test]
fn two_runners_may_ask_for_the_same_at_once() {
    let place = place();
    for name in ["r", "other"] {
        run(&place, &["--set", &format!("run.name={name}")]);
    }
    place.write("slow", "");
    for seed in 2..6 {
        let seed = format!("learn.seed={seed}");
        let start = |name: &str| {
            let name = format!("run.name={name}");
            let mut command = place.command(&RUN);
            command
                .args(["--set", &seed, "--set", &name])
                .spawn()
                .unwrap()
        };
        let both = ["r", "other"].map(start);
        for child in both {
            let output = child.wait_with_output().unwrap();
            let log = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{log}");
        }
        for run in ["r", "other"] {
            let model = place.read(&format!("artifacts/{run}/model/content"));
            assert!(
                model.contains(&seed.replace("learn.seed=", "seed = ")),
                "{model}"
            );
            assert_eq!(status(&place, run)[2].1, "fresh");
        }
    }
}

/// Work of before the store, too, and never with files that no stage has made.
#[test]
fn unfinished_folders_of_before_the_store_are_taken_over_and_no_file_is_lost() {
    let place = place();
    run(&place, &[]);
    let real = std::fs::canonicalize(place.path("artifacts/r/model")).unwrap();
    let name = real.file_name().unwrap().to_string_lossy().into_owned();
    // An interrupted training beside the run's links, and a copy of a finished artifact.
    let manifest: Value =
        serde_json::from_str(&place.read("artifacts/r/model/manifest.json")).unwrap();
    std::fs::remove_file(place.path("artifacts/r/model")).unwrap();
    std::fs::remove_dir_all(&real).unwrap();
    let work = serde_json::json!({"seconds": 9000, "draft": manifest});
    place.write("artifacts/r/model.staging/.work.json", &work.to_string());
    place.write("artifacts/r/model.staging/checkpoints/last", "work");
    let words = std::fs::canonicalize(place.path("artifacts/r/words")).unwrap();
    std::fs::remove_file(place.path("artifacts/r/words")).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(&words)
        .arg(place.path("artifacts/r/words"))
        .status();
    assert!(copied.unwrap().success());
    place.write("artifacts/r/words/thesis.txt", "mine");
    let refused = place.xtask(&RUN);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("thesis.txt"), "{}", refused.stderr);
    std::fs::rename(
        place.path("artifacts/r/words/thesis.txt"),
        place.path("thesis.txt"),
    )
    .unwrap();
    let dry = place.xtask(&[&RUN[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    place.write("fail-learn", "");
    assert_eq!(place.xtask(&RUN).code, Some(3));
    assert!(place.path("artifacts/r/words").is_symlink());
    assert_eq!(
        place.read(&format!("artifacts/.store/{name}.staging/checkpoints/last")),
        "work"
    );
}
