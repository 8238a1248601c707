//! Runs a program: log lines on standard error, Ctrl-C, the exit code.

use crate::progress::AboveBars;
use crate::{Result, end, log, signal, text};
use std::fmt::Debug;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Runs a program's `body` with log lines on standard error and a handler of
/// Ctrl-C, turns its error or panic into a message and an exit code, and ends the process.
/// `RUST_LOG` sets how much is logged (default `info`).
pub fn program(body: impl FnOnce() -> Result<()>) -> ExitCode {
    ended(body, "")
}

/// Like [`program`], for a program that resumes interrupted runs: tells the user so after
/// an interruption.
pub fn resumable(body: impl FnOnce() -> Result<()>) -> ExitCode {
    ended(
        body,
        "; finished parts are kept, and the same command makes the rest",
    )
}

fn ended(body: impl FnOnce() -> Result<()>, interrupted: &str) -> ! {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let lines = fmt::layer()
        .with_writer(AboveBars::default)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .fmt_fields(debug_fn(log_field).delimited(" "))
        .without_time();
    let copy = log::is_on().then(|| {
        fmt::layer()
            .with_writer(log::Copy::default)
            .with_target(false)
            .with_ansi(false)
            .fmt_fields(debug_fn(log_field).delimited(" "))
    });
    let _ = tracing_subscriber::registry()
        .with(lines.and_then(copy).with_filter(filter))
        .try_init();
    signal::install();
    end::with(body, interrupted)
}

/// Writes a field of a log line, or its message, as one line without control
/// characters, because it may contain names of files.
fn log_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = text::escaped(&value);
    match field.name() {
        "message" => write!(writer, "{value}"),
        name => write!(writer, "{name}={value}"),
    }
}
