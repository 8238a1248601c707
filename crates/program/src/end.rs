//! Ends a program: exit code, error message, panic.

use crate::progress::AboveBars;
use crate::{Error, Result, log, say, text};
use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Mutex;

/// Exit code after a panic.
const PANICKED: u8 = 1;

/// The last panic, kept until it is clear whether it is caught.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs `body` and ends the process with its exit code. Prints an error to standard
/// error; for an interruption, appends `interrupted`. A panic is reported in one line and
/// ends with exit code 1; with `RUST_BACKTRACE` it is reported in full.
///
/// Destructors of libraries don't run, because threads of libtorch and OpenMP may still be
/// running and would use what the destructors tear down.
pub fn with(body: impl FnOnce() -> Result<()>, interrupted: &str) -> ! {
    let told_whole = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if told_whole {
            usual(panic);
        }
        note(panic);
    }));
    let code = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            tell(&error, interrupted);
            error.exit_code()
        }
        Err(_) => {
            tell_panic();
            PANICKED
        }
    };
    let _ = std::io::stdout().flush();
    now(code)
}

/// Ends the process at once, without flushing and without destructors. Artifacts are safe
/// at any moment.
pub fn now(code: u8) -> ! {
    signal_hook::low_level::exit(code.into())
}

fn tell(error: &Error, interrupted: &str) {
    let more = match error {
        Error::Reported(_) => return,
        Error::Interrupted => interrupted,
        _ => "",
    };
    let message = text::message(&format!("error: {error}{more}"));
    let _ = writeln!(AboveBars, "{message}");
    log::line(&message);
}

fn note(panic: &PanicHookInfo) {
    let what = message(panic.payload());
    let first_line = what.lines().next().unwrap_or_default();
    match first_line {
        // The panic of that thread has been noted already.
        "a scoped thread panicked" => {}
        // It can't be caught: the process would abort.
        "panic in a function that cannot unwind" => {
            tell_panic();
            now(PANICKED);
        }
        _ => {
            let place = panic.location().map(|at| format!(" ({at})"));
            let told = format!("{first_line}{}", place.unwrap_or_default());
            *PANIC.lock().unwrap_or_else(|e| e.into_inner()) = Some(told);
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic")
}

fn tell_panic() {
    let panic = PANIC.lock().unwrap_or_else(|e| e.into_inner()).take();
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name();
    let message = format!(
        "error: internal error in {}: {}; please report this line and the command (RUST_BACKTRACE=1 prints more)",
        program.unwrap_or_default().display(),
        panic.as_deref().unwrap_or("panic")
    );
    say!("{message}");
    log::line(&message);
}
