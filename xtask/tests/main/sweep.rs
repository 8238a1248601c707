//! `cargo xtask sweep`: what it runs, what it chooses, and what it refuses.

use crate::place::{Outcome, Place, names};
use serde_json::Value;

/// A place whose pipeline draws, trains and evaluates. CIDEr on val is `train.rate` / 10 plus
/// `train.seed` / 100 in the first epoch, and less in the second one; on a described split it
/// is that of the model, plus a tenth with `search.beams = [5]`.
fn place() -> Place {
    let place = Place::new();
    let read = r#"value() { sed -n "s/^$1 = //p" "$config"; }
mkdir -p "$out"; touch "$out/.sources"; echo '{"seconds": 30}' > "$out/.work.json""#;
    place.stage("draw", "dataset", "", r#"{"draw": {"count": 3}}"#, read);
    place.stage(
        "learn",
        "model",
        r#"{"kind": "dataset", "required": true}"#,
        r#"{"train": {"rate": 0.5, "seed": 1, "stop_metric": "cider", "validation_split": "val"}}"#,
        &format!(
            r#"{read}
rate=$(value rate) seed=$(value seed)
here='{}'
[ -e "$here/stop-$rate" ] && {{ kill -INT $PPID; sleep 0.3; exit 130; }}
[ -e "$here/fail-$rate" ] && {{ echo 'error: the loss became NaN' >&2; exit 1; }}
[ -e "$here/meet" ] && {{ touch "$here/met-$rate"; while [ ! -e "$here/met-1.0" -o ! -e "$here/met-2.0" ]; do sleep 0.02; done; }}
digest=$(echo "$rate $seed" | sha256sum | cut -c1-64)
score=$(echo "$rate $seed" | awk '{{ printf "%.3f", $1 / 10 + $2 / 100 }}')
echo "{{\"epoch\": 0, \"split\": \"val\", \"cider\": $score, \"bleu4\": 0.5}}" > "$out/metrics.jsonl"
echo "{{\"epoch\": 1, \"split\": \"val\", \"cider\": 0.001, \"bleu4\": 0.25}}" >> "$out/metrics.jsonl""#,
            place.path("").display()
        ),
    );
    place.stage(
        "judge",
        "evaluation",
        r#"{"kind": "dataset", "required": true}, {"kind": "model", "required": true}"#,
        r#"{"evaluate": {"split": "test", "primary_beam": 3, "metrics": ["bleu", "cider"]}, "search": {"beams": [3]}}"#,
        &format!(
            r#"{read}
split=$(value split) beams=$(value beams)
model=$(sed -n "\$s/.*model=\([^ ]*\).*/\1/p" '{}')
score=$(sed -n '1s/.*"cider": \([0-9.]*\).*/\1/p' "$model/metrics.jsonl")
[ "$beams" = '[5]' ] && score=$(echo "$score" | awk '{{ print $1 + 0.1 }}')
echo "{{\"split\": $split, \"beams\": {{\"3\": {{\"bleu4\": 0.25, \"cider\": $score}}}}}}" > "$out/scores.json""#,
            place.path("log").display()
        ),
    );
    place.write(
        "pipelines/all.toml",
        r#"
[[stage]]
name = "draw"
command = ["draw"]
output = "dataset"

[[stage]]
name = "train"
command = ["learn"]
inputs = { dataset = "dataset" }
output = "model"

[[stage]]
name = "evaluate"
command = ["judge"]
inputs = { dataset = "dataset", model = "model" }
output = "evaluation"
"#,
    );
    place.write("c.toml", "[run]\nname = \"r\"\npipeline = \"all\"\n");
    place
}

fn sweep(place: &Place, more: &[&str]) -> Outcome {
    place.xtask(&[&["sweep", "--config", "c.toml"], more].concat())
}

/// The programs that have run since the last call, with their splits.
fn ran(place: &Place) -> Vec<String> {
    let log = place.log();
    std::fs::remove_file(place.path("log")).ok();
    let program = |line: &String| line.split(' ').next().unwrap().to_owned();
    log.iter().map(program).collect()
}

#[test]
fn val_chooses_and_test_is_shown_for_the_chosen_one_alone() {
    let place = place();
    let options = ["--try", "train.rate=1.0,3.0,2.0", "--seeds", "1,2"];
    let outcome = sweep(&place, &options);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let expected = "\
train.rate     val cider  best epoch  epochs   time  run
3.0         31.50 ± 0.71        1, 1          1 min  r-sweep-rate-3.0
2.0         21.50 ± 0.71        1, 1          1 min  r-sweep-rate-2.0
1.0         11.50 ± 0.71        1, 1          1 min  r-sweep-rate-1.0

chosen: r-sweep-rate-3.0 (train.rate=3.0)
test, beam         bleu4         cider
3           25.00 ± 0.00  31.50 ± 0.71
";
    assert_eq!(outcome.stdout, expected);
    assert_eq!(place.read("artifacts/r-sweep/table.txt"), expected);
    let mut programs = ran(&place);
    assert_eq!(programs.remove(0), "draw");
    assert_eq!(programs[..6], ["learn"; 6]);
    assert_eq!(programs[6..], ["judge"; 2]);
    // What the others have on the test split is not known to anybody.
    let folder = place.path("artifacts/r-sweep-rate-1.0-seed-1");
    assert_eq!(names(&folder), ["config", "dataset", "logs", "model"]);
    // Again: all is there.
    let again = sweep(&place, &options);
    assert_eq!(again.stdout, expected);
    assert!(
        again
            .stderr
            .contains("[1/6] r-sweep-rate-1.0-seed-1: train.rate=1.0: up to date")
    );
    assert_eq!(ran(&place), [""; 0]);
    // A further value is one more run of each seed.
    let more = [
        "--try",
        "train.rate=1.0,3.0,2.0,9.0",
        "--seeds",
        "1,2",
        "--json",
        "--no-test",
    ];
    let json: Value = serde_json::from_str(&sweep(&place, &more).stdout).unwrap();
    assert_eq!(ran(&place), ["learn"; 2]);
    assert_eq!(json["chosen"], "r-sweep-rate-9.0");
    assert_eq!(json["test"], Value::Null);
    assert_eq!(json["combinations"][3]["values"]["train.rate"], "1.0");
    let kept: Value = serde_json::from_str(&place.read("artifacts/r-sweep/sweep.json")).unwrap();
    assert_eq!(kept, json);
}

#[test]
fn an_interrupted_sweep_goes_on() {
    let place = place();
    place.write("stop-2.0", "");
    let options = ["--try", "train.rate=1.0,2.0,3.0"];
    let outcome = sweep(&place, &options);
    assert_eq!(outcome.code, Some(130), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    assert_eq!(ran(&place), ["draw", "learn", "learn"]);
    let table = place.read("artifacts/r-sweep/table.txt");
    assert!(table.contains("1.0             11.00"), "{table}");
    std::fs::remove_file(place.path("stop-2.0")).unwrap();
    let outcome = sweep(&place, &options);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(ran(&place), ["learn", "learn", "judge"]);
    assert!(
        outcome.stdout.contains("chosen: r-sweep-rate-3.0"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_run_that_fails_is_named_with_its_reason_and_the_others_go_on() {
    let place = place();
    place.write("fail-3.0", "");
    let outcome = sweep(&place, &["--try", "train.rate=1.0,3.0,2.0"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let expected = "\
train.rate  val cider  best epoch  epochs  time  run
2.0             21.00           1          30 s  r-sweep-rate-2.0
1.0             11.00           1          30 s  r-sweep-rate-1.0
3.0            failed                            r-sweep-rate-3.0
r-sweep-rate-3.0 failed: train: the loss became NaN

chosen: r-sweep-rate-2.0 (train.rate=2.0)
test, beam  bleu4  cider
3           25.00  21.00
";
    assert_eq!(outcome.stdout, expected);
}

#[test]
fn keys_that_only_evaluation_reads_are_judged_on_val() {
    let place = place();
    let options = [
        "--try",
        "search.beams=[3],[5]",
        "--try",
        "train.rate=1.0,2.0",
    ];
    let outcome = sweep(&place, &options);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("val cider, beam 3"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome
            .stdout
            .contains("chosen: r-sweep-beams-5-rate-2.0 (search.beams=[5], train.rate=2.0)"),
        "{}",
        outcome.stdout
    );
    // Two models, four evaluations of val, one of test.
    let of_test = place.log().pop().unwrap();
    assert!(
        of_test.contains("--output artifacts/.store/evaluation-"),
        "{of_test}"
    );
    let mut programs = ran(&place);
    programs.sort();
    assert_eq!(
        programs,
        [
            "draw", "judge", "judge", "judge", "judge", "judge", "learn", "learn"
        ]
    );
    let split = |output: &str| {
        let scores = place.read(&format!(
            "artifacts/r-sweep-beams-5-rate-2.0/{output}/scores.json"
        ));
        serde_json::from_str::<Value>(&scores).unwrap()["split"].clone()
    };
    assert_eq!([split("validation"), split("evaluation")], ["val", "test"]);
    // A run of the sweep is a run like others, also to begin another sweep with.
    let run = ["--run", "r-sweep-beams-5-rate-2.0"];
    let alone = place.xtask(&[&["run", "--only", "evaluate"], &run[..]].concat());
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
    let tried = ["sweep", "--try", "train.rate=4.0", "--name", "s"];
    let next = place.xtask(&[&tried, &run[..]].concat());
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    assert!(
        next.stdout.contains("chosen: s-rate-4.0"),
        "{}",
        next.stdout
    );
    assert!(next.stdout.contains("test, beam"), "{}", next.stdout);
}

#[test]
fn runs_side_by_side_say_whose_lines_are_whose() {
    let place = place();
    place.write("meet", "");
    let outcome = sweep(&place, &["--try", "train.rate=1.0,2.0", "--at-once", "2"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for rate in ["1.0", "2.0"] {
        let line = format!("\nr-sweep-rate-{rate}: [2/2] train: ");
        assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
    }
}

#[test]
fn a_dry_run_lists_what_each_run_would_be_the_first_to_make() {
    let place = place();
    let options = [
        "--try",
        "draw.count=3,4",
        "--try",
        "train.rate=1.0,2.0",
        "--dry-run",
    ];
    let outcome = sweep(&place, &options);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let expected = "\
run                       draw.count  train.rate  would make
r-sweep-count-3-rate-1.0  3           1.0         draw, train
r-sweep-count-3-rate-2.0  3           2.0         train
r-sweep-count-4-rate-1.0  4           1.0         draw, train
r-sweep-count-4-rate-2.0  4           2.0         train
";
    assert_eq!(outcome.stdout, expected);
    assert!(!place.path("artifacts").exists());
    assert_eq!(sweep(&place, &options[..4]).code, Some(0));
    ran(&place);
    let outcome = sweep(&place, &options);
    assert_eq!(
        outcome.stdout.matches("  nothing\n").count(),
        4,
        "{}",
        outcome.stdout
    );
    assert_eq!(ran(&place), [""; 0]);
}

#[test]
fn a_random_search_draws_from_ranges() {
    let place = place();
    let options = [
        "--try",
        "train.rate=log:0.1..10",
        "--random",
        "4",
        "--no-test",
        "--json",
    ];
    let json: Value = serde_json::from_str(&sweep(&place, &options).stdout).unwrap();
    let combinations = json["combinations"].as_array().unwrap();
    let rates = combinations
        .iter()
        .map(|one| one["values"]["train.rate"].as_str().unwrap());
    let rates: Vec<f64> = rates.map(|rate| rate.parse().unwrap()).collect();
    assert!(
        rates.iter().all(|rate| (0.1..=10.0).contains(rate)),
        "{rates:?}"
    );
    assert!(rates.is_sorted_by(|a, b| a > b), "{rates:?}");
    assert_eq!(ran(&place).len(), 1 + 4);
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let place = place();
    let refused = |options: &[&str], message: &str| {
        let outcome = sweep(&place, options);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.trim_end(), format!("error: {message}"));
    };
    refused(
        &["--try", "train.rat=1,2"],
        "--try train.rat=1: [train] has no key `rat`; the nearest is `rate`",
    );
    refused(
        &["--try", "train.rate=1,fast"],
        "--try train.rate=fast: train.rate must be a number, not `\"fast\"`",
    );
    refused(
        &["--try", "draw.count=1..2.5", "--random", "2"],
        "--try draw.count=2.5: draw.count must be a whole number, not `2.5`",
    );
    refused(
        &["--try", "train.rate="],
        "--try train.rate=: a value is missing (an empty string is \"\")",
    );
    refused(
        &["--try", "train.rate=1", "--try", "train.rate=2"],
        "--try train.rate: the key stands there twice; give all its values at once",
    );
    refused(
        &["--try", "train.rate=1..2"],
        "--try train.rate: a range needs --random N, which draws N combinations",
    );
    refused(
        &["--try", "train.rate=1,2", "--random", "3"],
        "--random 3: there are only 2 combinations; leave --random out to run all, or try more values",
    );
    refused(
        &["--try", "train.seed=1,2", "--seeds", "1,2"],
        "--try train.seed: --seeds sets it, too",
    );
    refused(
        &["--try", "evaluate.split=test,val"],
        "--try evaluate.split: the validation split chooses",
    );
    refused(
        &["--try", "run.name=a,b"],
        "--try run.name: the sweep names its runs",
    );
    refused(
        &["--try", "train.rate=1", "--seeds", "2,2"],
        "--seeds: 2 stands there twice",
    );
    refused(
        &["--try", "train.rate=1", "--name", "../up"],
        "--name ../up: can't be the name of a folder: use letters, digits, - and _",
    );
    refused(
        &["--try", "train.rate=1", "--by", "meteor"],
        "--by meteor: the training scores it only if it is train.stop_metric; --evaluate scores it after the training",
    );
    refused(
        &["--try", "train.rate=1", "--by", "rouge_l", "--evaluate"],
        "--by rouge_l: evaluate.metrics leaves it out",
    );
    refused(
        &["--try", "train.rate=1", "--set", "train.rats=1"],
        "--set train.rats=1: [train] has no key `rats`; the nearest is `rate`",
    );
    place.write("artifacts/mine/config/run.toml", "");
    refused(
        &["--try", "train.rate=1", "--name", "mine"],
        "artifacts/mine is a run; --name gives the sweep another name",
    );
    assert_eq!(place.log(), [""; 0]);
    assert_eq!(names(&place.path("artifacts")), ["mine"]);
}
