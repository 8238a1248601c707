//! Programs that a task runs, and what Ctrl-C does to them.

use crate::error::{Error, Result};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Process id of the running child; 0 where there is none.
static CHILD: AtomicU32 = AtomicU32::new(0);

/// Runs a command to its end with our terminal. Ctrl-C reaches it as it reaches
/// us, and we wait for what it still has to put in order.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    watched(command, |_| Ok(())).map(|(status, ())| status)
}

/// The same, with what it writes to standard output.
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
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Error::exit(u8::try_from(code).unwrap_or(1))),
        None => Err(Error::failed(format!(
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
    let mut child = command
        .spawn()
        .map_err(|e| Error::failed(format!("{name} can't be started: {e}")))?;
    CHILD.store(child.id(), Ordering::SeqCst);
    let result = meanwhile(&mut child);
    let status = child.wait();
    CHILD.store(0, Ordering::SeqCst);
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err(Error::exit(130));
    }
    let failed = |e: std::io::Error| Error::failed(format!("{name}: {e}"));
    Ok((status.map_err(failed)?, result.map_err(failed)?))
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
        // A terminal sends Ctrl-C to the child as well; a SIGTERM comes to us
        // alone. The two can't be told apart here, so it is passed on only
        // where no terminal is around that could have sent a Ctrl-C.
        let result = ctrlc::set_handler(|| {
            INTERRUPTED.store(true, Ordering::SeqCst);
            let child = CHILD.load(Ordering::SeqCst);
            if child != 0 && !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
                let _ = Command::new("kill")
                    .args(["-TERM", &child.to_string()])
                    .status();
            }
        });
        if let Err(e) = result {
            eprintln!("Ctrl-C will end this program before the running stage: {e}");
        }
    });
}
