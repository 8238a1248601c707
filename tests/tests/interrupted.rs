//! Tests that a training that is interrupted in any way keeps a checkpoint, ends with code
//! 130, and prints no other error.
#![allow(clippy::unwrap_used, clippy::panic)]

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn programs() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let there = folder.join("attend-train").is_file() && folder.join("xtask").is_file();
    assert!(there, "run cargo test --workspace");
    folder
}

/// Artifacts to train on, and a training that would take hours.
struct World {
    folder: tempfile::TempDir,
}

const SET: [&str; 10] = [
    "scenes.train=40",
    "scenes.val=6",
    "scenes.test=8",
    "scenes.image_size=32",
    "dataset.image_size=32",
    "decoder.hidden=16",
    "decoder.grid=[0,0]",
    "train.epochs=100000",
    "train.warmup_steps=0",
    "run.name=r",
];

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let world = World { folder };
        let mut made = world.runner(&world.path(""));
        assert!(made.arg("--until=vocab").output().unwrap().status.success());
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runner(&self, artifacts: &Path) -> Command {
        let mut command = Command::new(programs().join("xtask"));
        command.args(["run", "demo", "--config=configs/demo.toml", "--jobs=1"]);
        command.arg("--artifacts").arg(artifacts);
        command.args(SET.iter().map(|item| format!("--set={item}")));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        command.current_dir(root).env("ATTEND_BIN_DIR", programs());
        command
    }

    /// `attend-train` itself, or the runner that starts it, with a folder of its own.
    fn training(&self, through_runner: bool, place: &Path) -> Command {
        let made = self.path("r");
        let run = place.join("r");
        std::fs::create_dir_all(&run).unwrap();
        for name in ["scenes", "dataset", "vocabulary"] {
            std::os::unix::fs::symlink(made.join(name), run.join(name)).unwrap();
        }
        if through_runner {
            let mut command = self.runner(place);
            command.args(["--from=train", "--until=train"]);
            return command;
        }
        let mut command = Command::new(programs().join("attend-train"));
        command.args(["--config", "configs/demo.toml", "--jobs=1", "--output"]);
        command.arg(run.join("model"));
        command.args(["dataset", "vocabulary"].map(|kind| {
            let path = run.join(kind);
            format!("--input={kind}={}", path.display())
        }));
        let mine = |item: &&&str| item.starts_with("train") || item.starts_with("decoder");
        let set = SET.iter().filter(mine);
        command.args(set.map(|item| format!("--set={item}")));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        command.current_dir(root);
        command
    }
}

/// The destination of standard error.
#[derive(Clone, Copy, Debug)]
enum Log {
    Terminal,
    File,
    DeadPipe,
}

const SIGNALS: [&[Signal]; 5] = [
    &[Signal::INT],
    &[Signal::TERM],
    &[Signal::HUP],
    &[Signal::INT, Signal::TERM],
    &[Signal::INT, Signal::INT, Signal::INT],
];

struct Case {
    through_runner: bool,
    signals: &'static [Signal],
    to_group: bool,
    log: Log,
}

impl Case {
    fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for through_runner in [false, true] {
            for signals in SIGNALS {
                for to_group in [false, true] {
                    for log in [Log::Terminal, Log::File, Log::DeadPipe] {
                        cases.push(Case {
                            through_runner,
                            signals,
                            to_group,
                            log,
                        });
                    }
                }
            }
        }
        cases
    }

    fn check(&self, world: &World) {
        let Case {
            through_runner,
            signals,
            to_group,
            log,
        } = self;
        let name = format!("runner {through_runner}, {signals:?}, group {to_group}, {log:?}");
        let place = tempfile::tempdir().unwrap();
        let mut command = world.training(*through_runner, place.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.process_group(0);
        let file = place.path().join("log");
        let mut terminal = None;
        match log {
            Log::File => drop(command.stderr(File::create(&file).unwrap())),
            Log::DeadPipe => drop(command.stderr(std::io::pipe().unwrap().1)),
            Log::Terminal => {
                let (reader, stderr) = pseudo_terminal();
                terminal = Some(std::thread::spawn(move || read_all(reader)));
                command.stderr(stderr);
            }
        }
        let mut child = command.spawn().unwrap();
        drop(command); // our end of the terminal
        wait_until_it_learns(&mut child, place.path(), &name);
        let id = Pid::from_child(&child);
        for signal in *signals {
            match to_group {
                true => kill_process_group(id, *signal).unwrap(),
                false => kill_process(id, *signal).unwrap(),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let status = child.wait().unwrap();
        let said = match terminal {
            Some(thread) => thread.join().unwrap(),
            None => std::fs::read_to_string(&file).unwrap_or_default(),
        };
        assert_eq!(status.code(), Some(130), "{name}: {status}\n{said}");
        let last = staging(place.path()).join("checkpoints/last");
        assert!(last.join("state.json").is_file(), "{name}\n{said}");
        if matches!(log, Log::File | Log::Terminal) {
            let words = "interrupted; finished parts are kept, and the same command makes the rest";
            assert!(said.contains(words), "{name}\n{said}");
            for trace in [
                "panic",
                "internal error",
                "corrupted",
                "terminate",
                "libtorch",
            ] {
                assert!(!said.contains(trace), "{name}\n{said}");
            }
        }
    }
}

fn pseudo_terminal() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    (File::from(master), slave.into())
}

/// Reads what a terminal shows until all have closed it, which Linux reports as an error.
fn read_all(mut terminal: File) -> String {
    let mut text = Vec::new();
    let _ = terminal.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The staging folder of the model: beside it, or, if the runner made it, in the store.
fn staging(place: &Path) -> PathBuf {
    match place.join("r/model.next").read_link() {
        Ok(next) => {
            let name = next.file_name().unwrap().to_string_lossy().into_owned();
            place.join(format!(".store/{name}.staging"))
        }
        Err(_) => place.join("r/model.staging"),
    }
}

/// Waits for the first epochs' metrics, so that a signal comes in the middle of work.
fn wait_until_it_learns(child: &mut Child, place: &Path, name: &str) {
    let metrics = || staging(place).join("metrics.jsonl");
    let deadline = Instant::now() + Duration::from_secs(120);
    while metrics().metadata().map_or(0, |meta| meta.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "{name}: ended");
        assert!(Instant::now() < deadline, "{name}: does not learn");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_interrupted_training_keeps_a_checkpoint_however_it_is_told() {
    // The tests may have been started with SIGHUP ignored (`nohup`), which programs inherit.
    // A signal with a handler here is not ignored in programs that are started.
    signal_hook::flag::register(Signal::HUP.as_raw(), Arc::default()).unwrap();
    let world = World::new();
    let cases = Case::all();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    case.check(&world);
                }
            });
        }
    });
}

/// Ctrl-C as users press it: on the terminal of the runner.
#[cfg(target_os = "linux")]
#[test]
fn a_ctrl_c_on_the_terminal_keeps_a_checkpoint() {
    let world = World::new();
    let place = tempfile::tempdir().unwrap();
    let training = world.training(true, place.path());
    let (mut terminal, slave) = pseudo_terminal();
    // The first terminal that a session leader opens becomes its controlling terminal.
    let name = rustix::termios::ttyname(&slave, Vec::new()).unwrap();
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", "exec \"$@\" < $0 > $0 2>&1"]);
    command.arg(name.to_str().unwrap());
    command
        .arg(training.get_program())
        .args(training.get_args());
    command.current_dir(training.get_current_dir().unwrap());
    command.env("ATTEND_BIN_DIR", programs());
    let mut child = command.spawn().unwrap();
    let shown = terminal.try_clone().unwrap();
    let shown = std::thread::spawn(move || read_all(shown));
    wait_until_it_learns(&mut child, place.path(), "terminal");
    for _ in 0..3 {
        terminal.write_all(b"\x03").unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = child.wait().unwrap();
    drop(slave);
    let said = shown.join().unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    let last = staging(place.path()).join("checkpoints/last");
    assert!(last.join("state.json").is_file(), "{said}");
    assert!(
        said.contains("interrupted; finished parts are kept"),
        "{said}"
    );
}

/// The window is closed without a signal to the training: it continues.
#[test]
fn a_training_outlives_its_terminal() {
    let world = World::new();
    let place = tempfile::tempdir().unwrap();
    let mut command = world.training(false, place.path());
    let (terminal, stderr) = pseudo_terminal();
    command.stdout(Stdio::null()).stderr(stderr);
    let mut child = command.spawn().unwrap();
    drop(command);
    wait_until_it_learns(&mut child, place.path(), "closed");
    drop(terminal);
    let last = staging(place.path()).join("checkpoints/last");
    let epochs = || {
        let state = std::fs::read(last.join("state.json")).unwrap_or_default();
        let state = serde_json::from_slice::<serde_json::Value>(&state);
        state.map_or(0, |state| state["epoch"].as_u64().unwrap())
    };
    let (before, deadline) = (epochs(), Instant::now() + Duration::from_secs(120));
    while epochs() < before + 3 {
        assert!(child.try_wait().unwrap().is_none(), "ended");
        assert!(Instant::now() < deadline, "does not continue");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
