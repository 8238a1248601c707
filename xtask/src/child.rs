//! Runs the programs that a task needs, and passes signals such as Ctrl-C to them.

use attend_program::{At, Error, Result, end, say, signal};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, Once};
use std::time::Duration;

static STATE: Mutex<Signals> = Mutex::new(Signals {
    interrupted: false,
    children: Vec::new(),
});

struct Signals {
    interrupted: bool,
    /// The running children.
    children: Vec<Pid>,
}

/// Runs a command to its end, with our standard input and output. A signal that ends us
/// ends the command, too; we wait while it cleans up.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    watched(command, |_| Ok(())).map(|(status, ())| status)
}

/// Like [`run`], but also returns what the command writes to standard output.
pub fn run_for_output(command: &mut Command) -> Result<(ExitStatus, String)> {
    watched(command.stdout(Stdio::piped()), |child| {
        let mut text = String::new();
        child
            .stdout
            .take()
            .map_or(Ok(0), |mut out| out.read_to_string(&mut text))?;
        Ok(text)
    })
}

/// Runs a command that has to succeed; its exit code becomes ours.
pub fn run_ok(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = run(command)?;
    succeeded(&name, status)
}

/// Like [`run_ok`], but passes on what the command writes to standard error line by line,
/// each after `prefix`, and appends it to `log`, if given.
pub fn run_ok_told(command: &mut Command, prefix: &str, log: Option<&Path>) -> Result<()> {
    let name = name(command);
    let mut log = log
        .map(|path| {
            File::options()
                .append(true)
                .create(true)
                .open(path)
                .at(path)
        })
        .transpose()?;
    let (status, ()) = watched(command.stderr(Stdio::piped()), |child| {
        let Some(errors) = child.stderr.take() else {
            return Ok(());
        };
        for line in BufReader::new(errors).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            if let Some(log) = &mut log {
                let _ = writeln!(log, "{line}");
            }
            say!("{prefix}{line}");
        }
        Ok(())
    })?;
    succeeded(&name, status)
}

fn succeeded(name: &str, status: ExitStatus) -> Result<()> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Error::Reported(u8::try_from(code).unwrap_or(1))),
        None => Err(Error::internal(format!(
            "{name} was ended from outside ({status})"
        ))),
    }
}

fn watched<T>(
    command: &mut Command,
    meanwhile: impl FnOnce(&mut Child) -> std::io::Result<T>,
) -> Result<(ExitStatus, T)> {
    install_handler();
    let name = name(command);
    let mut child = {
        let mut state = state();
        if state.interrupted {
            return Err(Error::Reported(130));
        }
        let child = command
            .spawn()
            .map_err(|e| Error::internal(format!("{name} can't be started: {e}")))?;
        state.children.push(Pid::from_child(&child));
        child
    };
    let pid = Pid::from_child(&child);
    let result = meanwhile(&mut child);
    let status = child.wait();
    let mut state = state();
    state.children.retain(|running| *running != pid);
    if state.interrupted {
        return Err(Error::Reported(130));
    }
    let failed = |e: std::io::Error| Error::internal(format!("{name}: {e}"));
    Ok((status.map_err(failed)?, result.map_err(failed)?))
}

fn state() -> MutexGuard<'static, Signals> {
    STATE.lock().unwrap_or_else(|e| e.into_inner())
}

/// File name of a command's program.
pub fn name(command: &Command) -> String {
    std::path::Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let watched = signal::watch(|signal, new| {
            {
                let mut state = state();
                state.interrupted = true;
                if state.children.is_empty() {
                    end::now(130);
                }
            }
            // Nothing to pass on if it repeats the last signal, or if the child got it, too.
            if !new || came_to_all() {
                return;
            }
            let Some(signal) = Signal::from_named_raw(signal) else {
                return;
            };
            for child in &state().children {
                let _ = kill_process(*child, signal);
            }
        });
        match watched {
            Ok(()) => *witness() = start_witness(),
            Err(e) => say!("Ctrl-C will end this program before the running stage: {e}"),
        }
    });
}

/// An idle process in our process group. A terminal sends Ctrl-C to the whole group, as do
/// `timeout` and schedulers; others signal only us. The only way to tell these apart is to
/// see whether a neighbour gets the signal, too. A child must not get it twice, because for
/// many programs the second one means "at once".
static WITNESS: Mutex<Option<Child>> = Mutex::new(None);

fn witness() -> MutexGuard<'static, Option<Child>> {
    WITNESS.lock().unwrap_or_else(|e| e.into_inner())
}

/// Starts the witness. It ends when we do, because that closes its standard input.
fn start_witness() -> Option<Child> {
    let mut cat = Command::new("cat");
    cat.stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    cat.spawn().ok()
}

/// Whether the signal that we have just got went to the whole process group.
fn came_to_all() -> bool {
    let mut witness = witness();
    let Some(process) = witness.as_mut() else {
        return false;
    };
    for _ in 0..40 {
        if matches!(process.try_wait(), Ok(Some(_))) {
            *witness = start_witness();
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
