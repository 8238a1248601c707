//! Shows the progress of long work: a bar on a terminal, plain lines in a log.

use crate::text;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Progress towards a known total. Threads may share it.
pub struct Progress {
    what: String,
    unit: String,
    bar: ProgressBar,
    /// Units that an earlier run has done.
    skipped: AtomicU64,
    logged: Option<Mutex<Instant>>,
}

/// Begins to show progress: `what` is the work ("ingest"), `unit` what is
/// counted ("images"), `total` their number.
pub fn progress(what: &str, unit: &str, total: u64) -> Progress {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal {
        let bar = BARS.add(ProgressBar::new(total));
        let done = match unit {
            "bytes" => "{bytes}/{total_bytes}, {bytes_per_sec}".to_owned(),
            _ => format!("{{human_pos}}/{{human_len}} {unit}, {{per_sec}}"),
        };
        let template = format!("{{prefix:>10}} {{bar:30}} {done}, {{eta}} left  {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    } else {
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden())
    };
    let logged = (!terminal).then(|| Mutex::new(Instant::now()));
    Progress {
        what: what.into(),
        unit: unit.into(),
        bar,
        skipped: AtomicU64::new(0),
        logged,
    }
}

impl Progress {
    /// Counts `n` more units as done.
    pub fn inc(&self, n: u64) {
        self.bar.inc(n);
        let Some(logged) = &self.logged else { return };
        let Ok(mut last) = logged.try_lock() else {
            return;
        };
        if last.elapsed() >= LOG_EVERY {
            *last = Instant::now();
            self.line();
        }
    }

    /// Counts `n` units that an earlier run has done; they don't count in the rate.
    pub fn skip(&self, n: u64) {
        self.skipped.fetch_add(n, Ordering::Relaxed);
        self.bar.set_position(self.bar.position() + n);
        self.bar.reset_eta();
    }

    /// Shows a few words after the bar, such as the loss.
    pub fn set_message(&self, message: impl Into<String>) {
        let message = text::escaped(&message.into()).into_owned();
        self.bar.set_message(message);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self) {
        let done = self.bar.position();
        let total = self.bar.length().unwrap_or(done);
        let here = done.saturating_sub(self.skipped.load(Ordering::Relaxed));
        let seconds = self.bar.elapsed().as_secs_f64().max(1e-3);
        if self.unit == "bytes" {
            let (done, total) = (HumanBytes(done), HumanBytes(total));
            let rate = HumanBytes((here as f64 / seconds) as u64);
            let left = self.bar.eta().as_secs();
            tracing::info!("{} {done} of {total}, {rate}/s, {left} s left", self.what);
            return;
        }
        tracing::info!(
            "{} {done}/{total} {}, {:.1}/s, {} s left  {}",
            self.what,
            self.unit,
            self.bar.per_sec().max(here as f64 / seconds),
            self.bar.eta().as_secs(),
            self.bar.message()
        );
    }
}

/// Writes log lines above the bars instead of through them. Ignores errors: closing the
/// terminal or the pipe must not stop the work.
#[derive(Clone, Copy, Default)]
pub(crate) struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = BARS.suspend(|| std::io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
