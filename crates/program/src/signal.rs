//! Handles SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal is gone): requests to end,
//! which long work checks between two units.

use crate::{Error, Result, end, say};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A signal that comes within this time after another is the same request: shells,
/// schedulers and runners send several.
const SAME_REQUEST: Duration = Duration::from_secs(2);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static WAITING: AtomicBool = AtomicBool::new(false);

/// Calls `on` for each of the three signals, on a separate thread. Its arguments are the
/// signal and whether it is a new request: one within two seconds after another is not.
///
/// # Errors
/// Those of the system.
pub fn watch(mut on: impl FnMut(i32, bool) + Send + 'static) -> std::io::Result<()> {
    let mut watched = vec![SIGINT, SIGTERM];
    if !hangup_is_ignored() {
        watched.push(SIGHUP);
    }
    let mut signals = Signals::new(watched)?;
    let mut last: Option<Instant> = None;
    let watch = move || {
        for signal in signals.forever() {
            let new = last.is_none_or(|last| last.elapsed() > SAME_REQUEST);
            last = Some(Instant::now());
            on(signal, new);
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(watch).map(drop)
}

/// Whether SIGHUP is ignored because `nohup` or the like started us: then it stays so.
fn hangup_is_ignored() -> bool {
    // SAFETY: the structure holds only numbers, for which zeros are valid; without a new
    // action the call only writes `now`.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Sets [`interrupted`] when one of the signals comes. A second, later signal ends the
/// process at once; artifacts are safe at any moment.
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
                std::thread::sleep(SAME_REQUEST);
                tracing::warn!("finishing the current piece; press Ctrl-C again to stop at once");
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

/// Fails if Ctrl-C, SIGTERM or SIGHUP has come, so that the work ends.
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

/// Runs `work` that only waits, for a lock or for input, so that nothing is lost if it is
/// cut short: meanwhile a signal ends the process at once.
///
/// # Errors
/// [`Error::Interrupted`] if a signal has come before.
pub fn waiting<T>(work: impl FnOnce() -> T) -> Result<T> {
    WAITING.store(true, Ordering::SeqCst);
    let done = check_interrupt().map(|()| work());
    WAITING.store(false, Ordering::SeqCst);
    done
}
