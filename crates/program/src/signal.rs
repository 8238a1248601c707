//! SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal is gone): wishes to end.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::time::{Duration, Instant};

/// A signal that comes within this time after another is the same wish: shells,
/// schedulers and runners send several.
pub const SAME_WISH: Duration = Duration::from_secs(2);

/// Calls `on` for each of the three signals that comes, on a thread of its own: with
/// the signal, and whether it is a wish of its own ([`SAME_WISH`]).
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
