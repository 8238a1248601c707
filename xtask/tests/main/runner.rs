use crate::place::{Outcome, Place};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

const RUN: [&str; 4] = ["run", "two", "--config", "c.toml"];

#[track_caller]
fn refused(outcome: &Outcome, code: i32, message: &str) {
    assert_eq!(
        outcome.stderr.trim_end().lines().last(),
        Some(format!("error: {message}").as_str()),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.code, Some(code));
}

#[test]
fn stages_run_in_order_with_their_own_config() {
    let place = Place::new();
    let outcome = place.xtask(
        &[
            &RUN[..],
            &["--set", "learn.rate=1e-3", "--jobs", "2", "--force"],
        ]
        .concat(),
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "scores of first\nscores of second\n");
    let [first, second] = &place.log()[..] else {
        panic!("{:?}", place.log())
    };
    assert!(
        first.starts_with("first --config ")
            && first.ends_with(
                "artifacts/r/config/draw.toml --output artifacts/r/alpha --jobs 2 --force"
            ),
        "{first}"
    );
    assert!(second.ends_with("artifacts/r/config/learn.toml --input alpha=artifacts/r/alpha --output artifacts/r/beta --jobs 2 --force"), "{second}");
    let config: toml::Table = place.read("artifacts/r/config/learn.toml").parse().unwrap();
    assert_eq!(config.to_string(), "[learn]\nrate = 0.001\nepochs = 9\n");
    let config: toml::Table = place.read("artifacts/r/config/draw.toml").parse().unwrap();
    assert_eq!(config.to_string(), "[draw]\ncount = 7\ncolour = \"red\"\n");
    assert!(
        outcome.stderr.contains("[1/2] draw: ") && outcome.stderr.contains("[2/2] learn: "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn leave_to_delete_is_passed_on_to_stages_that_know_it() {
    let place = Place::new();
    let path = "bin/second";
    let script = place
        .read(path)
        .replace("\"unrecorded\"", "\"discard\": true, \"unrecorded\"");
    place.script(path, &script);
    let outcome = place.xtask(&[&RUN[..], &["--discard"]].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let log = place.log();
    assert!(
        !log[0].contains("--discard") && log[1].ends_with("--discard"),
        "{log:?}"
    );
}

#[test]
fn the_exit_code_of_a_stage_is_passed_on_and_ends_the_run() {
    let place = Place::new();
    place.stage(
        "first",
        "alpha",
        "",
        r#"{"draw": {"count": 3}}"#,
        "echo 'error: a.jpg: no photograph' >&2; exit 3",
    );
    let outcome = place.xtask(&RUN);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(
        outcome.stderr,
        "[1/2] draw\nerror: a.jpg: no photograph\n[1/2] draw: failed\n"
    );
    assert_eq!(place.log().len(), 1);
}

#[test]
fn an_unknown_key_is_refused_before_anything_runs() {
    let place = Place::new();
    place.write("c.toml", "[run]\nname = \"r\"\n\n[learn]\nepoch = 9\n");
    refused(
        &place.xtask(&RUN),
        2,
        "c.toml:5: [learn] has no key `epoch`; the nearest is `epochs`",
    );
    place.write("c.toml", "[run]\nname = \"r\"\n\n[laern]\nepochs = 9\n");
    refused(
        &place.xtask(&RUN),
        2,
        "c.toml:4: no stage of this pipeline has a section [laern]; the nearest is [learn]",
    );
    place.write("c.toml", "[run]\nname = \"../up\"\n");
    refused(
        &place.xtask(&RUN),
        2,
        "c.toml: run.name = \"../up\" can't be the name of a folder: use letters, digits, - and _",
    );
    place.write("c.toml", "[run\n");
    assert_eq!(place.xtask(&RUN).code, Some(2));
    assert_eq!(place.log(), [""; 0]);
    assert!(!place.path("artifacts").exists());
}

#[test]
fn overrides_are_checked_too_and_may_name_the_run() {
    let place = Place::new();
    refused(
        &place.xtask(&[&RUN[..], &["--set", "learn.rat=1"]].concat()),
        2,
        "--set learn.rat=1: [learn] has no key `rat`; the nearest is `rate`",
    );
    refused(
        &place.xtask(&[&RUN[..], &["--set", "draw.count=x"]].concat()),
        2,
        "--set draw.count=x: expected a whole number, not `\"x\"`",
    );
    let outcome = place.xtask(
        &[
            &RUN[..],
            &["--set", "run.name=other", "--set", "draw.colour=blue"],
        ]
        .concat(),
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        place
            .read("artifacts/other/config/draw.toml")
            .contains("colour = \"blue\"")
    );
}

#[test]
fn a_part_of_a_pipeline() {
    let place = Place::new();
    let outcome = place.xtask(&[&RUN[..], &["--from", "learn"]].concat());
    refused(
        &outcome,
        2,
        "stage learn: its input artifacts/r/alpha is not there; run the stage that makes it",
    );
    assert_eq!(
        place.xtask(&[&RUN[..], &["--until", "draw"]].concat()).code,
        Some(0)
    );
    assert_eq!(
        place.xtask(&[&RUN[..], &["--from", "learn"]].concat()).code,
        Some(0)
    );
    let programs: Vec<String> = place
        .log()
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(programs, ["first", "second"]);
    let outcome = place.xtask(&[&RUN[..], &["--until", "lern"]].concat());
    refused(
        &outcome,
        2,
        "this pipeline has no stage lern, only draw, learn",
    );
    let outcome = place.xtask(&["train", "--config", "c.toml"]);
    refused(&outcome, 2, "this pipeline makes no model");
}

#[test]
fn faults_of_a_pipeline() {
    let place = Place::new();
    let stage = |name: &str, program: &str, input: &str, output: &str| {
        format!(
            "[[stage]]\nname = \"{name}\"\ncommand = [\"{program}\"]\ninputs = {{ {input} }}\noutput = \"{output}\"\n"
        )
    };
    let run = |text: String| {
        place.write("pipelines/two.toml", &text);
        place.xtask(&RUN)
    };
    let cyclic =
        stage("a", "second", "alpha = \"y\"", "x") + &stage("b", "second", "alpha = \"x\"", "y");
    refused(
        &run(cyclic),
        2,
        "pipelines/two.toml: the stages wait for each other: a <- b <- a",
    );
    refused(
        &run(stage("a", "second", "alpha = \"x\"", "y")),
        2,
        "pipelines/two.toml: stage a: no stage makes its input x",
    );
    refused(
        &run(stage("a", "second", "", "y")),
        2,
        "stage a: second needs an input of kind alpha",
    );
    let of_wrong_kind = stage("a", "first", "", "x")
        + &stage("b", "second", "alpha = \"x\"", "y")
        + &stage("c", "second", "alpha = \"y\"", "z");
    refused(
        &run(of_wrong_kind),
        2,
        "stage c: its input alpha is y, but stage b makes that as an artifact of kind beta",
    );
    let unknown = run(stage("a", "no-such-program", "", "x"));
    assert!(
        unknown
            .stderr
            .contains("error: program no-such-program: neither in "),
        "{}",
        unknown.stderr
    );
    assert_eq!(unknown.code, Some(2));
    let no_stage = run(stage("a", "true", "", "x"));
    refused(
        &no_stage,
        2,
        "true --describe is not understood: EOF while parsing a value at line 1 column 0",
    );
    assert_eq!(place.log(), [""; 0]);
}

/// A place whose pipeline runs `second` twice: the other time as stage `again`, for
/// which `overlay` lies over [learn].
fn twice(overlay: &str) -> Place {
    let place = Place::new();
    let pipeline = place.read("pipelines/two.toml");
    place.write(
        "pipelines/two.toml",
        &format!(
            "{pipeline}\n[[stage]]\nname = \"again\"\ncommand = [\"second\"]\ninputs = {{ alpha = \"alpha\" }}\n\
             sections = {{ learn = \"{overlay}\" }}\noutput = \"gamma\"\n"
        ),
    );
    place
}

#[test]
fn a_program_runs_twice_with_two_sections() {
    let place = twice("more");
    place.write(
        "c.toml",
        "[run]\nname = \"r\"\n\n[learn]\nepochs = 9\n\n[more]\nrate = 0.25\n",
    );
    let config = |stage: &str| {
        let text = place.read(&format!("artifacts/r/config/{stage}.toml"));
        text.parse::<toml::Table>().unwrap().to_string()
    };
    assert_eq!(place.xtask(&RUN).code, Some(0));
    assert_eq!(config("learn"), "[learn]\nrate = 0.5\nepochs = 9\n");
    assert_eq!(config("again"), "[learn]\nrate = 0.25\nepochs = 9\n");
    let set = ["--set", "more.epochs=1", "--set", "learn.rate=1.0"];
    assert_eq!(place.xtask(&[&RUN[..], &set].concat()).code, Some(0));
    assert_eq!(config("learn"), "[learn]\nrate = 1.0\nepochs = 9\n");
    assert_eq!(config("again"), "[learn]\nrate = 0.25\nepochs = 1\n");
    let written = config("pipeline");
    assert!(written.contains("more"), "{written}");
}

#[test]
fn faults_of_an_overlay() {
    let place = twice("more");
    place.write("c.toml", "[run]\nname = \"r\"\n\n[more]\nrat = 0.25\n");
    refused(
        &place.xtask(&RUN),
        2,
        "c.toml:5: [more] has no key `rat`; the nearest is `rate`",
    );
    place.write("c.toml", "[run]\nname = \"r\"\n\n[mor]\nrate = 0.25\n");
    refused(
        &place.xtask(&RUN),
        2,
        "c.toml:4: no stage of this pipeline has a section [mor]; the nearest is [more]",
    );
    refused(
        &twice("draw").xtask(&RUN),
        2,
        "stage again: [draw] can't lie over [learn]: it is a section of its own",
    );
    refused(
        &twice("../up").xtask(&RUN),
        2,
        "pipelines/two.toml: stage again: section \"../up\" must be a plain word",
    );
    assert_eq!(place.log(), [""; 0]);
}

/// Sends `signal` to `target` (of xtask's process id) once the first stage
/// works; the stage needs a moment to put things in order.
fn interrupted(signal: &str, target: impl Fn(u32) -> String) {
    let place = Place::new();
    let tidy = format!(
        "trap 'sleep 0.3; echo tidy > {0}; exit 130' INT TERM; echo > {1}; while :; do sleep 0.05; done",
        place.path("tidy").display(),
        place.path("started").display()
    );
    place.stage("first", "alpha", "", r#"{"draw": {"count": 3}}"#, &tidy);
    let child = place.command(&RUN).process_group(0).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !place.path("started").exists() {
        assert!(Instant::now() < deadline, "the stage was not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        Command::new("kill")
            .args([signal, "--", &target(child.id())])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        place.read("tidy"),
        "tidy\n",
        "xtask did not wait for the stage"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.ends_with("[1/2] draw: interrupted; the same command goes on from there\n"),
        "{said}"
    );
    assert_eq!(place.log().len(), 1);
}

#[test]
fn ctrl_c_reaches_the_stage_and_is_waited_for() {
    // A terminal sends it to the whole foreground group.
    interrupted("-INT", |id| format!("-{id}"));
}

#[test]
fn sigterm_is_passed_on() {
    interrupted("-TERM", |id| id.to_string());
}
