//! Writes decoded photographs into shards: `shards/{split}-{00000}.arrow`.
//!
//! A shard has `shard_size` successive candidates of one split, except those whose file
//! can't be used. A note beside the shard has the outcome of each candidate: a run that
//! finds the shard finished need not read its photographs again, and a run that makes it
//! again can name those that have changed.

use crate::config::Section;
use crate::photograph::{Loaded, load};
use crate::pipeline;
use crate::reference::Refusal;
use crate::select::Candidate;
use crate::source::Source;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::tables::shard_file;
use attend_artifact::{Piece, Staging};
use attend_program::text::escaped;
use attend_program::{Error, Progress, Result, check_interrupt, progress};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The outcome of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Kept, in its shard.
    Kept {
        /// Original width in pixels.
        width: u32,
        /// Original height in pixels.
        height: u32,
        /// Fingerprint of its file, [`Loaded::source`].
        source: String,
        /// [`Loaded::damage`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        damage: Option<String>,
    },
    /// Rejected.
    Rejected(Refusal),
}

/// One shard and its candidates.
#[derive(Clone, Copy, Debug)]
pub struct ShardPlan<'a> {
    /// The split.
    pub split: &'a str,
    /// Number of the shard within the split.
    pub number: usize,
    /// The candidates, in order.
    pub candidates: &'a [Candidate],
}

impl ShardPlan<'_> {
    /// The shard's file in the artifact.
    pub fn file(&self) -> String {
        shard_file(self.split, self.number)
    }

    /// The shard as a part of the artifact. `source` has its photographs; `None` if they
    /// are in an artifact, whose digest covers them.
    pub fn piece(&self, source: Option<&Source>) -> Piece {
        let sources = source.map(|source| sources(source, self.candidates));
        Piece {
            name: self.file(),
            sources: sources.unwrap_or_default(),
        }
    }
}

/// Divides the candidates, which are sorted by split, into shards.
pub fn plan(candidates: &[Candidate], shard_size: usize) -> Vec<ShardPlan<'_>> {
    candidates
        .chunk_by(|a, b| a.split == b.split)
        .flat_map(|split| split.chunks(shard_size).enumerate())
        .map(|(number, candidates)| ShardPlan {
            split: &candidates[0].split,
            number,
            candidates,
        })
        .collect()
}

/// Hash of paths, sizes and times of the photographs; it changes with any of them.
fn sources(source: &Source, candidates: &[Candidate]) -> String {
    let mut hasher = blake3::Hasher::new();
    for candidate in candidates {
        hasher.update(candidate.file_name.as_bytes());
        let state = source.state(&candidate.photograph);
        state.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
    }
    hasher.finalize().to_hex().to_string()
}

/// Writes the shards that this run has to make. Returns the outcomes of every shard,
/// including those that were finished before; `None` if this run writes no tables, because
/// it is a task or the tables are up to date.
///
/// # Errors
/// Those of the file system, or [`Error::Interrupted`]; finished shards are kept.
/// [`Error::Input`] if a shard must be reproduced exactly but photographs have changed.
pub fn write(
    staging: &Staging,
    source: &Source,
    runs: &[(ShardPlan<'_>, Piece)],
    pieces: &[&Piece],
    section: &Section,
    jobs: usize,
) -> Result<Option<Vec<Vec<Outcome>>>> {
    let mine: HashSet<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
    let finished: Vec<Option<Vec<Outcome>>> = (runs.iter())
        .map(|(run, piece)| match mine.contains(piece.name.as_str()) {
            true => None,
            false => noted(staging.notes(&piece.name), run),
        })
        .collect();
    let tables = !staging.is_task() && !staging.lacks_only(pieces);
    let mut todo = Vec::new();
    for ((run, piece), outcomes) in runs.iter().zip(&finished) {
        // Other shards are needed for the tables only.
        if mine.contains(piece.name.as_str()) || (outcomes.is_none() && tables) {
            todo.push((run, piece));
        }
    }
    let total: usize = runs.iter().map(|(run, _)| run.candidates.len()).sum();
    let images: usize = todo.iter().map(|(run, _)| run.candidates.len()).sum();
    let progress = progress("ingest", "images", total as u64);
    progress.skip((total - images) as u64);
    let made = pipeline::ordered(
        jobs,
        todo.iter().flat_map(|(run, _)| run.candidates),
        |candidate: &Candidate| load(source, &candidate.photograph, section),
        |loaded| {
            let one = |(run, piece): &(&ShardPlan<'_>, &Piece)| {
                write_shard(staging, run, piece, section, loaded, &progress)
            };
            todo.iter().map(one).collect::<Result<Vec<_>>>()
        },
    );
    progress.finish();
    let mut made = made?.into_iter();
    if !tables {
        return Ok(None);
    }
    let all = finished
        .into_iter()
        .map(|outcomes| outcomes.or_else(|| made.next()));
    Ok(Some(all.flatten().collect()))
}

fn write_shard(
    staging: &Staging,
    run: &ShardPlan<'_>,
    piece: &Piece,
    section: &Section,
    loaded: &mut dyn Iterator<Item = Result<Result<Loaded, Refusal>>>,
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    let side = section.image_size as usize;
    let mut writer = TensorShardWriter::create(
        &staging.path(&piece.name)?,
        "image",
        Dtype::U8,
        &[3, side, side],
        &["C", "H", "W"],
    )?;
    let mut outcomes = Vec::with_capacity(run.candidates.len());
    for candidate in run.candidates {
        check_interrupt()?;
        let result = loaded
            .next()
            .ok_or_else(|| Error::internal("fewer images than listed"))??;
        outcomes.push(match result {
            Ok(Loaded {
                width,
                height,
                pixels,
                source,
                damage,
            }) => {
                writer.push(candidate.image_id, &pixels)?;
                Outcome::Kept {
                    width,
                    height,
                    source,
                    damage,
                }
            }
            Err(refusal) => Outcome::Rejected(refusal),
        });
        progress.inc(1);
    }
    let shard = writer.finish()?;
    let notes = serde_json::to_vec(&outcomes).map_err(Error::internal)?;
    staging.shard_done(piece, shard, Some(&notes))?;
    if staging.must_equal() {
        let before = noted(staging.notes_before(&piece.name), run);
        same(before, &outcomes, run)?;
    }
    Ok(outcomes)
}

/// The outcomes in the notes of a finished shard; `None` if they are damaged.
fn noted(notes: Option<Vec<u8>>, run: &ShardPlan<'_>) -> Option<Vec<Outcome>> {
    let outcomes: Vec<Outcome> = serde_json::from_slice(&notes?).ok()?;
    (outcomes.len() == run.candidates.len()).then_some(outcomes)
}

/// Fails and names a photograph if any have changed since a shard was first made.
fn same(before: Option<Vec<Outcome>>, now: &[Outcome], run: &ShardPlan<'_>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    let pairs = run.candidates.iter().zip(before.iter().zip(now));
    let changed: Vec<_> = pairs.filter(|(_, (before, now))| before != now).collect();
    let Some((first, (before, now))) = changed.first() else {
        return Ok(());
    };
    let how = match (before, now) {
        (Outcome::Kept { .. }, Outcome::Kept { .. }) => "is another picture now".to_owned(),
        (Outcome::Kept { .. }, Outcome::Rejected(why)) => format!("is {} now", why.reason.code()),
        (Outcome::Rejected(why), _) => format!("was {}", why.reason.code()),
    };
    Err(Error::input(format!(
        "{}: {} of its photographs changed since it was made; the first: {} {how}. The data set is left as it is. Put the old files back, or run without --shards and --repair to make a new data set of the new ones",
        run.file(),
        changed.len(),
        escaped(&first.file_name)
    )))
}
