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
            && first.contains("artifacts/r/config/draw.toml --output artifacts/.store/alpha-")
            && first.ends_with(" --jobs 2 --force"),
        "{first}"
    );
    assert!(second.contains("artifacts/r/config/learn.toml --input alpha=artifacts/r/alpha --output artifacts/.store/beta-"), "{second}");
    assert!(place.path("artifacts/r/beta/manifest.json").is_file());
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
        "c.toml:4: no stage of this pipeline has a section [laern]; the nearest is [learn]; remove it if its stage was replaced",
    );
    place.write("c.toml", "[run]\nname = \"../up\"\n");
    refused(
        &place.xtask(&RUN),
        2,
        "c.toml:2: run.name = \"../up\" can't be the name of a folder: use letters, digits, - and _",
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
        &place.xtask(&[&RUN[..], &["--set", "draw.epochs=1"]].concat()),
        2,
        "--set draw.epochs=1: [draw] has no key `epochs`; the nearest is `learn.epochs`",
    );
    place.write("other.toml", "[run]\nname = \"r\"\n\n[learn]\ncolour = 9\n");
    refused(
        &place.xtask(&["run", "two", "--config", "other.toml"]),
        2,
        "other.toml:5: [learn] has no key `colour`; the nearest is `draw.colour`",
    );
    refused(
        &place.xtask(&[&RUN[..], &["--set", "draw.count=x"]].concat()),
        2,
        "--set draw.count=x: draw.count must be a whole number, not `\"x\"`",
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
        "stage learn: its input artifacts/r/alpha does not exist; run the stage that makes it",
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

/// A place whose pipeline runs `second` twice: the second time as stage `again`, for
/// which `overlay` overrides [learn].
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
        "c.toml:4: no stage of this pipeline has a section [mor]; the nearest is [more]; remove it if its stage was replaced",
    );
    refused(
        &twice("draw").xtask(&RUN),
        2,
        "stage again: [draw] can't override [learn]: it is a section of its own",
    );
    refused(
        &twice("../up").xtask(&RUN),
        2,
        "pipelines/two.toml: stage again: section \"../up\" must be a plain word",
    );
    assert_eq!(place.log(), [""; 0]);
}

/// Sends `signals` to `target` (of xtask's process id) once the first stage runs; the
/// stage takes a moment to clean up. Returns the signals that the stage got.
fn interrupted(signals: &[&str], target: impl Fn(u32) -> String) -> String {
    let place = Place::new();
    let note = place.path("had").display().to_string();
    let tidy = format!(
        "trap 'echo INT >> {note}; end=1' INT; trap 'echo TERM >> {note}; end=1' TERM; \
         trap 'echo HUP >> {note}; end=1' HUP; echo > {}; \
         while [ -z \"$end\" ]; do sleep 0.05; done; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done; exit 130",
        place.path("started").display()
    );
    place.stage("first", "alpha", "", r#"{"draw": {"count": 3}}"#, &tidy);
    let child = place.command(&RUN).process_group(0).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !place.path("started").exists() {
        assert!(Instant::now() < deadline, "the stage was not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    for signal in signals {
        let mut kill = Command::new("kill");
        let sent = kill.args([signal, "--", &target(child.id())]).status();
        assert!(sent.unwrap().success());
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.ends_with("[1/2] draw: interrupted; the same command continues from there\n"),
        "{said}"
    );
    assert_eq!(place.log().len(), 1, "the next stage was started");
    place.read("had")
}

/// A terminal sends Ctrl-C to the whole foreground group; `timeout` and schedulers send
/// their signals to all of a group, too. A second signal means "at once" to many stages.
#[test]
fn a_signal_of_the_group_is_not_passed_on() {
    let group = |id| format!("-{id}");
    assert_eq!(interrupted(&["-INT"], group), "INT\n");
    assert_eq!(interrupted(&["-TERM"], group), "TERM\n");
    assert_eq!(interrupted(&["-HUP"], group), "HUP\n");
}

#[test]
fn a_signal_to_the_runner_alone_is_passed_on_once() {
    let alone = |id: u32| id.to_string();
    assert_eq!(interrupted(&["-INT"], alone), "INT\n");
    assert_eq!(interrupted(&["-TERM", "-TERM"], alone), "TERM\n");
    assert_eq!(interrupted(&["-HUP"], alone), "HUP\n");
}

/// `nohup cargo xtask …` and a terminal that is closed.
#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let place = Place::new();
    let runner = place.command(&RUN);
    let program = runner.get_program().to_owned();
    place.stage(
        "first",
        "alpha",
        "",
        r#"{"draw": {"count": 3}}"#,
        "kill -HUP $PPID; sleep 0.4",
    );
    let mut nohup = Command::new("nohup");
    nohup.arg(program).args(RUN);
    for (name, value) in runner.get_envs() {
        match value {
            Some(value) => nohup.env(name, value),
            None => nohup.env_remove(name),
        };
    }
    nohup.current_dir(runner.get_current_dir().unwrap());
    let output = nohup.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(place.log().len(), 2);
}

/// The reader of standard error is gone: the run continues.
#[test]
fn a_closed_standard_error_is_no_error() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = place.command(&RUN).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.log().len(), 2);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut status = place.command(&["status"]);
    assert_eq!(status.stdout(writer).status().unwrap().code(), Some(0));
}

/// `config/STAGE.toml` says what made the artifact that is there.
#[test]
fn a_refused_attempt_leaves_the_config_of_what_is_there() {
    let place = Place::new();
    let learn = "artifacts/r/config/learn.toml";
    assert_eq!(place.xtask(&RUN).code, Some(0));
    let (config, pipeline) = (
        place.read(learn),
        place.read("artifacts/r/config/pipeline.toml"),
    );
    assert!(config.contains("epochs = 9"), "{config}");
    let parameters = r#"{"learn": {"rate": 0.5, "epochs": 2}}"#;
    let input = r#"{"kind": "alpha", "required": true}"#;
    place.stage("second", "beta", input, parameters, "exit 4");
    let other = [&RUN[..], &["--set", "learn.epochs=5"]].concat();
    assert_eq!(place.xtask(&other).code, Some(4));
    assert_eq!(place.read(learn), config);
    assert_eq!(place.read("artifacts/r/config/pipeline.toml"), pipeline);
    place.stage("second", "beta", input, parameters, "");
    assert_eq!(place.xtask(&other).code, Some(0));
    assert!(place.read(learn).contains("epochs = 5"));
    assert!(!place.path("artifacts/r/config/learn.next.toml").exists());
}

#[test]
fn a_config_in_another_encoding_or_format_is_named() {
    let place = Place::new();
    let path = place.path("c.toml");
    let refused = |bytes: &[u8], words: &str| {
        std::fs::write(&path, bytes).unwrap();
        let outcome = place.xtask(&RUN);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    };
    refused(
        b"\xff\xfe[\0r\0u\0n\0]\0",
        "c.toml: this is UTF-16; save the file as UTF-8",
    );
    refused(
        b"[run]\nname = \"\xe9\"\n",
        "c.toml:2: the byte 0xe9 is not UTF-8",
    );
    refused(b"{\"run\": {}}", "c.toml: this is JSON");
    refused(b"", "c.toml: the file is empty");
    std::fs::write(&path, b"\xef\xbb\xbf[run]\r\nname = \"r\"\r\n").unwrap();
    assert_eq!(place.xtask(&RUN).code, Some(0));
    let pipeline = place.path("pipelines/two.toml");
    std::fs::write(&pipeline, b"\xff\xfe[\0").unwrap();
    let outcome = place.xtask(&RUN);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("two.toml: this is UTF-16"),
        "{}",
        outcome.stderr
    );
}
