//! Runs the programs that a task needs, and passes signals such as Ctrl-C to them.

use attend_program::{At, Error, Result, end, say, signal, whole};
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
    held: false,
});

struct Signals {
    interrupted: bool,
    /// The running children.
    children: Vec<Pid>,
    /// Whether the task itself ends when it is interrupted, because it has to tidy up.
    held: bool,
}

/// While this lives, a signal does not end us at once: the task asks [`check`].
pub struct Hold;

/// Makes signals wait for [`check`].
pub fn hold() -> Hold {
    install_handler();
    state().held = true;
    Hold
}

impl Drop for Hold {
    fn drop(&mut self) {
        state().held = false;
    }
}

/// Ends a task that was interrupted.
///
/// # Errors
/// Exit code 130.
pub fn check() -> Result<()> {
    match state().interrupted {
        true => Err(Error::Reported(130)),
        false => Ok(()),
    }
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

/// Where a stage's output goes.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// Whether the stage writes to our standard error itself, with its bars.
    pub terminal: bool,
    /// Otherwise, what stands before each of its lines.
    pub prefix: &'a str,
    /// A file that gets these lines, too.
    pub log: Option<&'a Path>,
    /// A file that keeps what it prints to standard output, if it prints anything.
    pub out: &'a Path,
    /// Whether that is not shown.
    pub quiet: bool,
}

/// Runs a stage, which has to succeed; its exit code becomes ours.
pub fn run_stage(command: &mut Command, ways: Ways<'_>) -> Result<()> {
    let name = name(command);
    let append = |path| {
        File::options()
            .append(true)
            .create(true)
            .open(path)
            .at(path)
    };
    let mut log = ways.log.map(append).transpose()?;
    command.stdout(Stdio::piped());
    if !ways.terminal {
        command.stderr(Stdio::piped());
    }
    let (status, printed) = watched(command, |child| {
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            let lines = scope.spawn(move || {
                let lines = errors.into_iter();
                for line in lines.flat_map(|errors| BufReader::new(errors).split(b'\n')) {
                    let line = line?;
                    let line = String::from_utf8_lossy(&line);
                    if let Some(log) = &mut log {
                        let _ = writeln!(log, "{line}");
                    }
                    say!("{}{line}", ways.prefix);
                }
                Ok(())
            });
            let printed = out.map_or(Ok(Vec::new()), |out| copied(out, ways.quiet));
            let told = lines.join().unwrap_or(Ok(()));
            told.and(printed)
        })
    })?;
    succeeded(&name, status)?;
    match printed.is_empty() {
        true => Ok(()),
        false => whole::write_bytes(ways.out, printed),
    }
}

/// Reads what a stage prints, and shows it as it comes. If our reader is gone, the stage
/// goes on.
fn copied(mut out: impl Read, quiet: bool) -> std::io::Result<Vec<u8>> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = out.read(&mut part)?;
        if read == 0 {
            return Ok(all);
        }
        all.extend_from_slice(&part[..read]);
        if !quiet {
            let mut stdout = std::io::stdout();
            let _ = stdout
                .write_all(&part[..read])
                .and_then(|()| stdout.flush());
        }
    }
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
                if state.children.is_empty() && !state.held {
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
