//! Decoded photographs into shards: `shards/{split}-{00000}.arrow`.
//!
//! A shard is a run of `shard_size` candidates of one split, in order; those
//! whose file can't be used leave no row. What came of each candidate is noted
//! beside the shard, so that a run that has the shard need not look at its
//! photographs again, and one that makes it again can say which have changed.

use crate::config::Section;
use crate::photograph::{Loaded, load};
use crate::pipeline;
use crate::reference::Refusal;
use crate::select::Candidate;
use crate::source::Source;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::tables::shard_file;
use attend_artifact::text::escaped;
use attend_artifact::{Error, Piece, Progress, Result, Staging, check_interrupt, progress};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What came of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is in its shard.
    Kept {
        /// Original width in pixels.
        width: u32,
        /// Original height in pixels.
        height: u32,
        /// Which file it was, [`Loaded::source`].
        source: String,
        /// [`Loaded::damage`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        damage: Option<String>,
    },
    /// It is not.
    Rejected(Refusal),
}

/// One shard and its candidates.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The split.
    pub split: &'a str,
    /// Number within the split.
    pub number: usize,
    /// The images to try, in order.
    pub candidates: &'a [Candidate],
}

impl Run<'_> {
    /// The shard's file in the artifact.
    pub fn file(&self) -> String {
        shard_file(self.split, self.number)
    }

    /// The shard as a part of the artifact. `source` is where its photographs are,
    /// unless they are an artifact's, whose digest says all about them.
    pub fn piece(&self, source: Option<&Source>) -> Piece {
        let sources = source.map(|source| sources(source, self.candidates));
        Piece {
            name: self.file(),
            sources: sources.unwrap_or_default(),
        }
    }
}

/// Cuts the candidates, which stand together by split, into shards.
pub fn plan(candidates: &[Candidate], shard_size: usize) -> Vec<Run<'_>> {
    candidates
        .chunk_by(|a, b| a.split == b.split)
        .flat_map(|split| split.chunks(shard_size).enumerate())
        .map(|(number, candidates)| Run {
            split: &candidates[0].split,
            number,
            candidates,
        })
        .collect()
}

/// Hash over path, size and time of the photographs: whether any of them changed.
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

/// Writes the shards that this run has to make; says of each what came of its
/// candidates, of those that were there, too. `None` where nobody needs to know: from
/// a task, which leaves the rest to others, and where the tables stay as they are.
///
/// # Errors
/// From the disk, or [`Error::Interrupted`]; finished shards are kept.
/// [`Error::Input`] where a shard is to come out as it was, and photographs have
/// changed.
pub fn write(
    staging: &Staging,
    source: &Source,
    runs: &[(Run<'_>, Piece)],
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
        // Without tables to write, neighbours are none of this run's business.
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
            let one = |(run, piece): &(&Run<'_>, &Piece)| {
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
    run: &Run<'_>,
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

/// What was noted about a shard that is finished.
fn noted(notes: Option<Vec<u8>>, run: &Run<'_>) -> Option<Vec<Outcome>> {
    let outcomes: Vec<Outcome> = serde_json::from_slice(&notes?).ok()?;
    (outcomes.len() == run.candidates.len()).then_some(outcomes)
}

/// Names what has changed since a shard was made for the first time.
fn same(before: Option<Vec<Outcome>>, now: &[Outcome], run: &Run<'_>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    let pairs = run.candidates.iter().zip(before.iter().zip(now));
    let changed: Vec<_> = pairs.filter(|(_, (before, now))| before != now).collect();
    let Some((first, (was, is))) = changed.first() else {
        return Ok(());
    };
    let how = match (was, is) {
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
