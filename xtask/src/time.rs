//! Times as text.

use attend_program::text::duration;
use std::path::Path;
use std::time::Instant;

/// The time that the artifact at `place` took to make, as text.
pub fn spent(place: &Path) -> Option<String> {
    seconds_of(place).map(duration)
}

/// The seconds that the artifact at `place` took to make.
pub fn seconds_of(place: &Path) -> Option<u64> {
    let text = std::fs::read(place.join(".work.json")).ok()?;
    let work: serde_json::Value = serde_json::from_slice(&text).ok()?;
    work.get("seconds")?.as_u64()
}

/// The time since `started` as text: seconds, or minutes and seconds.
pub fn seconds(started: Instant) -> String {
    let seconds = started.elapsed().as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!(
            "{:.0} min {:02.0} s",
            (seconds / 60.0).floor(),
            seconds % 60.0
        )
    }
}
