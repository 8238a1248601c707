//! Decoded photographs into shards: `shards/{split}-{00000}.arrow`.
//!
//! A shard is a run of `shard_size` candidates of one split, in order; those
//! whose file can't be used leave no row. What came of each candidate is noted
//! beside the shard until the commit, so that an interrupted run need not look at
//! the photographs of a finished shard again.

use crate::config::Section;
use crate::photograph::{Loaded, Refusal, load};
use crate::pipeline;
use crate::select::Candidate;
use crate::source::Source;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::{At, Error, Progress, Result, Staging, check_interrupt, progress};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

/// What came of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is in its shard.
    Kept {
        /// Original width in pixels.
        width: u32,
        /// Original height in pixels.
        height: u32,
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
        format!("shards/{}-{:05}.arrow", self.split, self.number)
    }

    fn notes(&self) -> String {
        format!("{}-{:05}.json", self.split, self.number)
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

/// Writes all shards that are not there yet; says of each run what came of its
/// candidates.
///
/// # Errors
/// From the disk, or [`Error::Interrupted`]; finished shards are kept.
pub fn write(
    staging: &Staging,
    source: &Source,
    runs: &[Run<'_>],
    section: &Section,
    jobs: usize,
) -> Result<Vec<Vec<Outcome>>> {
    let total: usize = runs.iter().map(|run| run.candidates.len()).sum();
    let progress = progress("ingest", "images", total as u64);
    let finished = runs
        .iter()
        .map(|run| finished(staging, run))
        .collect::<Result<Vec<_>>>()?;
    let to_load = runs
        .iter()
        .zip(&finished)
        .filter(|(_, outcomes)| outcomes.is_none())
        .flat_map(|(run, _)| run.candidates);
    let outcomes = pipeline::ordered(
        jobs,
        to_load,
        |candidate: &Candidate| load(source, &candidate.file_name, section),
        |loaded| {
            let one = |(run, finished): (&Run<'_>, Option<Vec<Outcome>>)| match finished {
                Some(outcomes) => {
                    progress.skip(outcomes.len() as u64);
                    Ok(outcomes)
                }
                None => write_shard(staging, run, section, loaded, &progress),
            };
            runs.iter().zip(finished.clone()).map(one).collect()
        },
    );
    progress.finish();
    outcomes
}

fn write_shard(
    staging: &Staging,
    run: &Run<'_>,
    section: &Section,
    loaded: &mut dyn Iterator<Item = Result<Result<Loaded, Refusal>>>,
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    let name = run.file();
    let side = section.image_size as usize;
    let mut writer = TensorShardWriter::create(
        &staging.path(&name)?,
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
            }) => {
                writer.push(candidate.image_id, &pixels)?;
                Outcome::Kept { width, height }
            }
            Err(refusal) => Outcome::Rejected(refusal),
        });
        progress.inc(1);
    }
    let rows = writer.finish()?;
    // The notes first: a shard that is entered as done always has them.
    write_notes(&staging.scratch(&run.notes())?, &outcomes)?;
    staging.done(&name, Some(rows))?;
    Ok(outcomes)
}

fn write_notes(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).at(path)?);
    serde_json::to_writer(&mut file, outcomes).at(path)?;
    file.flush().at(path)?;
    file.get_ref().sync_all().at(path)
}

/// What an interrupted run noted about a shard that it finished.
fn finished(staging: &Staging, run: &Run<'_>) -> Result<Option<Vec<Outcome>>> {
    let path = staging.scratch(&run.notes())?;
    if !staging.is_done(&run.file()) || !path.exists() {
        return Ok(None);
    }
    let file = BufReader::new(File::open(&path).at(&path)?);
    let outcomes: Option<Vec<Outcome>> = serde_json::from_reader(file).ok();
    Ok(outcomes.filter(|outcomes| outcomes.len() == run.candidates.len()))
}
