//! Ctrl-C, SIGTERM and SIGHUP: a flag that long work looks at between two units.

use crate::{Error, Result};
use attend_program::signal::{SAME_WISH, watch};
use attend_program::{end, say};
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static WAITING: AtomicBool = AtomicBool::new(false);

/// Installs the handler. A second wish to end, not the same one again, ends the process
/// at once: artifacts are safe whenever that happens.
pub fn install() {
    let watched = watch(|_, new| {
        let again = INTERRUPTED.swap(true, Ordering::SeqCst);
        if WAITING.load(Ordering::SeqCst) {
            say!("error: {}", Error::Interrupted);
            end::now(Error::Interrupted.exit_code());
        }
        if again && new {
            end::now(Error::Interrupted.exit_code());
        }
        if !again {
            std::thread::spawn(|| {
                std::thread::sleep(SAME_WISH);
                tracing::warn!("ending what is begun; another Ctrl-C now ends it at once");
            });
        }
    });
    if let Err(error) = watched {
        tracing::debug!("no handler for Ctrl-C: {error}");
    }
}

/// Whether Ctrl-C, SIGTERM or SIGHUP has come.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Ends the work if Ctrl-C, SIGTERM or SIGHUP has come.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn check_interrupt() -> Result<()> {
    if interrupted() {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}

/// Does `work` that only waits, for a lock or for somebody's input, and that loses
/// nothing when it is left: a signal ends the process at once.
///
/// # Errors
/// [`Error::Interrupted`] where a signal has come before.
pub fn waiting<T>(work: impl FnOnce() -> T) -> Result<T> {
    WAITING.store(true, Ordering::SeqCst);
    let done = check_interrupt().map(|()| work());
    WAITING.store(false, Ordering::SeqCst);
    done
}
