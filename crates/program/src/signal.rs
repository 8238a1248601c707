//! SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal is gone): wishes to end, which long
//! work looks at between two units.

use crate::{Error, Result, end, say};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A signal that comes within this time after another is the same wish: shells,
/// schedulers and runners send several.
const SAME_WISH: Duration = Duration::from_secs(2);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static WAITING: AtomicBool = AtomicBool::new(false);

/// Calls `on` for each of the three signals that comes, on a thread of its own: with
/// the signal, and whether it is a wish of its own, not the same one again within two
/// seconds.
///
/// # Errors
/// Those of the system.
pub fn watch(mut on: impl FnMut(i32, bool) + Send + 'static) -> std::io::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    if !hangup_is_ignored() {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let mut last: Option<Instant> = None;
    let watch = move || {
        for signal in signals.forever() {
            let new = last.is_none_or(|last| last.elapsed() > SAME_WISH);
            last = Some(Instant::now());
            on(signal, new);
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(watch).map(drop)
}

/// Whether we were started by `nohup` or the like: then SIGHUP stays ignored.
fn hangup_is_ignored() -> bool {
    // SAFETY: a plain structure of numbers, for which zeros are good; without a new
    // action the call changes nothing but `now`.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Sets [`interrupted`] when one of the signals comes. A second wish to end, not the same
/// one again, ends the process at once: artifacts are safe whenever that happens.
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
