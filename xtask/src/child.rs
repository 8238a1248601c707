//! Programs that a task runs, and what Ctrl-C does to them.

use crate::error::{Error, Result};
use std::process::{Command, ExitStatus};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Process id of the running child; 0 where there is none.
static CHILD: AtomicU32 = AtomicU32::new(0);

/// Runs a command to its end with our terminal. Ctrl-C reaches it as it reaches
/// us, and we wait for what it still has to put in order.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    install_handler();
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .map_err(|e| Error::failed(format!("{name} can't be started: {e}")))?;
    CHILD.store(child.id(), Ordering::SeqCst);
    let status = child.wait();
    CHILD.store(0, Ordering::SeqCst);
    let status = status.map_err(|e| Error::failed(format!("{name}: {e}")))?;
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err(Error::exit(130));
    }
    Ok(status)
}

/// Runs a command that has to succeed; its exit code becomes ours.
pub fn run_ok(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = run(command)?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Error::exit(u8::try_from(code).unwrap_or(1))),
        None => Err(Error::failed(format!(
            "{name} was ended by a signal ({status})"
        ))),
    }
}

fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A terminal sends Ctrl-C to the child too. A SIGTERM comes to us alone;
        // the two can't be told apart here, so the child is sent a SIGTERM only
        // where it is not in the terminal's foreground: no terminal, no Ctrl-C.
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
            eprintln!("Ctrl-C will end us before the running stage: {e}");
        }
    });
}
