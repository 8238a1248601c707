//! Makes the data set's tables from the candidates and their outcomes.

use crate::reference::Refusal;
use crate::select::Candidate;
use crate::shards::{Outcome, ShardPlan};
use attend_artifact::dataset::{CaptionRecord, ImageRecord, RejectedRecord};
use attend_artifact::ledger::Reason;
use attend_artifact::tables::Tables;

/// The tables of all shards; `rejected` are the ledger rows from the selection.
pub fn tables<'a>(
    shards: impl Iterator<Item = (&'a ShardPlan<'a>, Vec<Outcome>)>,
    rejected: Vec<RejectedRecord>,
) -> Tables {
    let mut tables = Tables {
        rejected,
        ..Tables::default()
    };
    for (run, outcomes) in shards {
        add(&mut tables, run, outcomes);
    }
    tables
}

fn add(tables: &mut Tables, run: &ShardPlan<'_>, outcomes: Vec<Outcome>) {
    let mut row = 0;
    for (candidate, outcome) in run.candidates.iter().zip(outcomes) {
        match outcome {
            Outcome::Rejected(refusal) => reject(tables, candidate, &refusal),
            Outcome::Kept {
                width,
                height,
                damage,
                ..
            } => {
                let (id, name) = (candidate.image_id, &candidate.file_name);
                let note = |damage| RejectedRecord::image(id, name, Reason::Damaged, damage);
                tables.rejected.extend(damage.map(note));
                keep(tables, candidate, (width, height), run.file(), row);
                row += 1;
            }
        }
    }
}

fn reject(tables: &mut Tables, candidate: &Candidate, refusal: &Refusal) {
    let (id, name) = (candidate.image_id, candidate.file_name.as_str());
    let Refusal { reason, detail } = refusal;
    tables
        .rejected
        .push(RejectedRecord::image(id, name, *reason, detail));
    let caption = |(caption_id, _): &(i64, String)| {
        RejectedRecord::caption(*caption_id, id, name, Reason::ImageRejected, reason.code())
    };
    tables
        .rejected
        .extend(candidate.captions.iter().map(caption));
}

fn keep(
    tables: &mut Tables,
    candidate: &Candidate,
    (width, height): (u32, u32),
    shard: String,
    row: u32,
) {
    let Candidate {
        image_id,
        split,
        file_name,
        captions,
        ..
    } = candidate;
    tables.images.push(ImageRecord {
        image_id: *image_id,
        split: split.clone(),
        file_name: file_name.clone(),
        width,
        height,
        shard,
        row,
    });
    tables
        .captions
        .extend(captions.iter().map(|(caption_id, caption)| CaptionRecord {
            caption_id: *caption_id,
            image_id: *image_id,
            split: split.clone(),
            caption: caption.clone(),
        }));
}
