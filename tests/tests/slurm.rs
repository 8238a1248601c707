//! `run --executor slurm` on a Slurm cluster of this machine (`fixtures/slurm.sh`), and the
//! scripts of `--emit`.
#![allow(clippy::unwrap_used)]

use attend_testing::Run;
use attend_tests::program;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KINDS: [&str; 5] = ["scenes", "dataset", "vocabulary", "model", "evaluation"];

/// A folder with the demo's pipeline and a small config. Each stage has one core; three
/// tasks share the shards of the data set.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(checkout.join("pipelines/demo.toml")).unwrap();
        let stages = text.split("[[stage]]").skip(1).map(|stage| {
            let tasks = if stage.contains("attend-ingest") {
                "tasks = 3\n"
            } else {
                ""
            };
            format!("[[stage]]{stage}\n[stage.resources]\ncpus = 1\n{tasks}\n")
        });
        place.write("pipeline.toml", &stages.collect::<String>());
        place.write(
            "c.toml",
            "[run]\nname = \"r\"\n[scenes]\ntrain = 60\nval = 8\ntest = 8\nimage_size = 32\n\
             [dataset]\nannotations = \"dataset_scenes.json\"\n\
             objects = \"annotations/instances.json\"\nimage_size = 32\nshard_size = 8\n\
             [vocab]\nmin_count = 1\n[encoder]\narch = \"resnet18\"\nlast_stage = \"layer1\"\n\
             [decoder]\nembedding = 8\nattention = 8\nhidden = 8\ngrid = [0, 0]\n\
             [train]\nencoder = \"whole\"\nepochs = 20\nmax_length = 5\n\
             [search]\nmax_length = 5\n",
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// `xtask run`, with its artifacts in a folder of this name.
    fn run(&self, artifacts: &str, more: &[&str]) -> Command {
        let mut xtask = program("xtask");
        let programs = Path::new(xtask.get_program()).parent().unwrap().to_owned();
        xtask.args(["run", "pipeline.toml", "--config", "c.toml"]);
        xtask.args(["--artifacts", artifacts]).args(more);
        xtask
            .env("ATTEND_BIN_DIR", programs)
            .current_dir(self.0.path());
        xtask
    }

    fn manifests(&self, artifacts: &str) -> Vec<String> {
        let read = |kind: &&str| {
            let path = self
                .path(artifacts)
                .join("r")
                .join(kind)
                .join("manifest.json");
            std::fs::read_to_string(path).unwrap()
        };
        KINDS.iter().map(read).collect()
    }
}

/// A running cluster, which ends with the test.
struct Cluster(tempfile::TempDir);

impl Cluster {
    fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/slurm.sh")
    }

    /// `None`, with the reason on standard error, if no cluster can be started here.
    fn start() -> Option<Cluster> {
        let folder = tempfile::tempdir().unwrap();
        let mut start = Command::new(Cluster::script());
        let ended = start.arg("start").arg(folder.path()).output().unwrap();
        if ended.status.success() {
            return Some(Cluster(folder));
        }
        let why = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(77), "{why}");
        eprintln!("Slurm was not tried: {why}");
        None
    }

    fn conf(&self) -> PathBuf {
        self.0.path().join("slurm.conf")
    }

    /// What a program of Slurm prints.
    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .ok()
            .out
    }

    /// Waits until `squeue` prints a line with this word; returns the line's first word.
    fn wait_for(&self, word: &str) -> String {
        let began = Instant::now();
        loop {
            let queue = self.ask("squeue", &["--noheader", "--format=%i %j %T"]);
            if let Some(line) = queue.lines().find(|line| line.contains(word)) {
                return line.split(' ').next().unwrap().to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{queue}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stop = Command::new(Cluster::script())
            .arg("stop")
            .arg(self.0.path())
            .status();
        assert!(stop.unwrap().success());
    }
}

/// One test, because the cluster's ports are those of the machine.
#[test]
fn slurm_makes_the_artifacts_that_a_local_run_makes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let place = Place::new();
    place.run("local", &["--jobs", "1"]).ok();
    let slurm = |artifacts: &str, more: &[&str]| {
        let mut run = place.run(artifacts, &[&["--executor", "slurm"], more].concat());
        run.env("SLURM_CONF", cluster.conf());
        run
    };

    // A job is taken off its node half-way and put into the queue again, while nobody watches.
    let mut first = slurm("cluster", &[]).stderr(Stdio::null()).spawn().unwrap();
    let train = cluster.wait_for("r-train RUNNING");
    let log = place.path(&format!("cluster/r/slurm/train-{train}.out"));
    let wait_until_log_has = |words: &str| {
        let began = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains(words)) {
            assert!(began.elapsed() < Duration::from_secs(60), "{words}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_until_log_has("epoch 3:");
    let interrupt = ["-INT", &first.id().to_string()];
    Command::new("kill").args(interrupt).ok();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    cluster.ask("scontrol", &["requeue", &train]);
    // Slurm lets a job that is queued again wait for two minutes. Here it need not, once the
    // node has cleaned up.
    wait_until_log_has("train: interrupted");
    cluster.wait_for("r-train PENDING");
    std::thread::sleep(Duration::from_secs(3));
    cluster.ask(
        "scontrol",
        &["update", &format!("JobId={train}"), "StartTime=now"],
    );

    let again = slurm("cluster", &[]).ok().log;
    assert!(
        again.contains("still in the queue: watching them"),
        "{again}"
    );
    assert!(again.contains("evaluate (job "), "{again}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("continuing from"), "{log}");
    assert_eq!(place.manifests("cluster"), place.manifests("local"));
    let shards = place.path("cluster/r/slurm").read_dir().unwrap().flatten();
    let names = shards.map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(
        names
            .filter(|name| name.starts_with("ingest-") && name.contains('_'))
            .count(),
        3
    );

    // Nothing to do: no job.
    let nothing = slurm("cluster", &[]).ok().log;
    assert!(nothing.contains("nothing to do"), "{nothing}");

    // A stage that fails gives its message and its exit code, and its jobs are gone.
    place.write(
        "broken",
        "#!/bin/sh\nif [ \"$1\" = --describe ]; then\n\
         echo '{\"inputs\": [{\"kind\": \"dataset\", \"required\": true}], \"output\": \"vocabulary\", \"parameters\": {}}'\n\
         exit\nfi\necho 'error: a.jpg: no photograph' >&2\nexit 3\n",
    );
    let broken = place.path("broken");
    Command::new("chmod").arg("+x").arg(&broken).ok();
    let text = std::fs::read_to_string(place.path("pipeline.toml")).unwrap();
    let text = text.replace("attend-vocab", broken.to_str().unwrap());
    place.write("pipeline.toml", &text.replace("cpus = 1\n", ""));
    let config = std::fs::read_to_string(place.path("c.toml")).unwrap();
    place.write("c.toml", &config.replace("[vocab]\nmin_count = 1\n", ""));
    let failed = slurm("failed", &[]).output().unwrap();
    let log = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(3), "{log}");
    assert!(log.contains("  error: a.jpg: no photograph"), "{log}");
    assert!(log.contains("error: vocab: job "), "{log}");
    assert_eq!(cluster.ask("squeue", &["--noheader"]), "");
    assert!(!place.path("failed/r/model").exists());
}

#[test]
fn without_slurm_the_way_out_is_told() {
    let place = Place::new();
    let mut run = place.run("a", &["--executor", "slurm"]);
    run.env("PATH", "/nonexistent")
        .refused(2, &["sbatch can't be started", "of a Slurm cluster?"]);
}

#[test]
fn make_makes_the_artifacts_that_a_local_run_makes() {
    let place = Place::new();
    place.run("local", &["--jobs", "1"]).ok();
    place.run("made", &["--emit", "make"]).ok();
    let mut make = Command::new("make");
    let makefile = place.path("made/r/Makefile");
    make.args(["-j2", "-f"]).arg(makefile).current_dir("/").ok();
    assert_eq!(place.manifests("made"), place.manifests("local"));
}

#[test]
fn scripts_are_written_for_slurm_and_kubernetes() {
    let place = Place::new();
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    let told = place.run("a", &["--emit", "slurm"]).ok().out;
    assert!(told.ends_with("a/r/slurm/submit.sh\n"), "{told}");
    let submit = read("a/r/slurm/submit.sh");
    let begin = "$(sbatch --parsable --kill-on-invalid-dep=yes ";
    let lines = [
        format!("job_ingest={begin}--dependency=afterok:$job_scenes ingest.sh)"),
        format!("job_ingest={begin}--dependency=afterok:$job_ingest ingest.finalize.sh)"),
        format!("job_train={begin}--dependency=afterok:$job_ingest:$job_vocab train.sh)"),
    ];
    assert!(lines.iter().all(|line| submit.contains(line)), "{submit}");
    let ingest = read("a/r/slurm/ingest.sh");
    assert!(ingest.contains("\n#SBATCH --array=1-3\n"), "{ingest}");
    assert!(ingest.contains(" --only ingest --jobs 1 --task \"$SLURM_ARRAY_TASK_ID/3\""));
    assert!(read("a/r/slurm/ingest.finalize.sh").contains(" --only ingest --jobs 1 --finalize"));
    Command::new("sh")
        .arg("-n")
        .arg(place.path("a/r/slurm/submit.sh"))
        .ok();

    place.run("a", &["--emit", "kubernetes"]).ok();
    let text = read("a/r/kubernetes/02-r-ingest.json");
    let job: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(job["spec"]["completions"], 3);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["cpu"], "1");
    let command = container["command"][2].as_str().unwrap();
    assert!(
        command.ends_with("--task $((JOB_COMPLETION_INDEX + 1))/3"),
        "{command}"
    );
    let run = read("a/r/kubernetes/run.sh");
    let jobs: Vec<&str> = run
        .lines()
        .filter(|line| line.starts_with("job 0"))
        .collect();
    assert_eq!(jobs.len(), 6, "{run}");
    assert!(!place.path("a/r/scenes").exists());
}

/// What `run.sh` asks of kubectl, for jobs that run here: `apply` runs a job's container once
/// for each index; `get` prints what came of it.
const KUBECTL: &str = r#"#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys

verb, text = sys.argv[1], sys.stdin.read() if sys.argv[-1] == "-" else None
text = text or pathlib.Path(sys.argv[sys.argv.index("-f") + 1]).read_text()
job = json.loads(text)
state = pathlib.Path(os.environ["STATE"], job["metadata"]["name"])
if verb == "apply" and not state.exists():
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry/attend" and container["volumeMounts"][0]["mountPath"]
    given = {one["name"]: one["value"] for one in container["env"]}
    codes = [
        subprocess.run(
            container["command"],
            cwd=container["workingDir"],
            env=os.environ | given | {"JOB_COMPLETION_INDEX": str(index)},
        ).returncode
        for index in range(job["spec"]["completions"])
    ]
    state.write_text("Failed" if any(codes) else "SuccessCriteriaMet Complete")
elif verb == "get" and state.exists():
    print(state.read_text())
elif verb == "delete":
    state.unlink()
"#;

#[test]
fn the_jobs_for_kubernetes_make_what_a_local_run_makes() {
    let place = Place::new();
    place.run("local", &["--jobs", "1"]).ok();
    place.run("made", &["--emit", "kubernetes"]).ok();
    let folder = place.path("bin");
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(place.path("state")).unwrap();
    let kubectl = folder.join("kubectl");
    std::fs::write(&kubectl, KUBECTL).unwrap();
    std::fs::set_permissions(
        &kubectl,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let path = std::env::var("PATH").unwrap();
    let run = || {
        let mut run = Command::new(place.path("made/r/kubernetes/run.sh"));
        run.env("PATH", format!("{}:{path}", folder.display()));
        run.env("STATE", place.path("state")).env("POLL", "0.1");
        run.envs([
            ("IMAGE", "registry/attend"),
            ("CLAIM", "data"),
            ("MOUNT", "/data"),
        ]);
        run
    };
    run().ok();
    assert_eq!(place.manifests("made"), place.manifests("local"));
    // A job that has ended runs again, and one that fails ends the script.
    std::fs::remove_file(place.path("made/r/dataset/images.parquet")).unwrap();
    run().ok();
    assert_eq!(place.manifests("made"), place.manifests("local"));
    std::fs::remove_dir_all(place.path("made/.store")).unwrap();
    std::fs::write(place.path("made/.store"), "no folder").unwrap();
    let failed = run().output().unwrap();
    let log = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(3), "{log}");
    assert!(log.ends_with("`kubectl logs job/NAME` says why\n"), "{log}");
}
