//! What is at a place in the store, found out without starting a stage.

use super::{Manifest, beside, is_carried};
use crate::folders;
use attend_program::loose;
use std::path::{Path, PathBuf};

/// The state of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Up to date.
    Fresh,
    /// There; only its stage can tell whether its loose files have changed.
    Unsure,
    /// It has to be made again, because something has changed.
    Stale,
    /// It has not been made.
    Missing,
    /// A file is missing or has another size, or the manifest can't be read.
    Damaged,
    /// Its stage was interrupted and will go on.
    Unfinished,
    /// Its stage is running.
    Running,
}

impl State {
    /// The word for people and JSON.
    pub fn word(self) -> &'static str {
        match self {
            State::Fresh | State::Unsure => "fresh",
            State::Stale => "stale",
            State::Missing => "missing",
            State::Damaged => "damaged",
            State::Unfinished => "unfinished",
            State::Running => "running",
        }
    }

    /// Whether the artifact can be used as it is.
    pub fn is_there(self) -> bool {
        matches!(self, State::Fresh | State::Unsure)
    }
}

/// The staging folder of a place.
pub fn staging(place: &Path) -> PathBuf {
    beside(place, ".staging")
}

/// Whether a stage is writing the artifact at `place`.
pub fn is_busy(place: &Path) -> bool {
    folders::lock(&staging(place)).is_none()
}

/// The state of the artifact at `place`, which was asked for by the request that the place
/// stands for, and the reasons.
pub fn look(place: &Path) -> (State, Vec<String>) {
    if is_busy(place) {
        return (State::Running, Vec::new());
    }
    let unfinished = folders::holds_work(&staging(place));
    let manifest = match Manifest::read(place) {
        None if unfinished => return (State::Unfinished, Vec::new()),
        None => return (State::Missing, Vec::new()),
        Some(_) if unfinished && is_carried(place) => return (State::Unfinished, Vec::new()),
        Some(_) if is_carried(place) => return (State::Missing, Vec::new()),
        Some(Err(why)) => return (State::Damaged, vec![format!("manifest.json: {why}")]),
        Some(Ok(manifest)) => manifest,
    };
    let short = |file: &&super::manifest::File| {
        let meta = place.join(&file.name).metadata();
        meta.map_or(true, |meta| meta.len() != file.bytes)
    };
    let short: Vec<&str> = manifest
        .files
        .iter()
        .filter(short)
        .map(|f| &*f.name)
        .collect();
    if !short.is_empty() {
        return (
            State::Damaged,
            vec![some(
                &short,
                ["file is damaged or gone", "files are damaged or gone"],
            )],
        );
    }
    let Some(list) = loose::read(place) else {
        return (State::Unsure, Vec::new());
    };
    let changed = loose::changed(&list);
    let names: Vec<String> = changed.iter().map(|path| folders::name(path)).collect();
    match names.is_empty() {
        true if unfinished => (State::Unfinished, Vec::new()),
        true => (State::Fresh, Vec::new()),
        false => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (
                State::Stale,
                vec![some(
                    &names,
                    [
                        "loose file or folder changed",
                        "loose files or folders changed",
                    ],
                )],
            )
        }
    }
}

/// `3 WHAT: a, b, …`, with what one and what several things are called.
fn some(names: &[&str], [one, several]: [&str; 2]) -> String {
    let first = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > 3 { ", …" } else { "" };
    let what = if names.len() == 1 { one } else { several };
    format!("{} {what}: {first}{more}", names.len())
}
