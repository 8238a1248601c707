//! Checks that captions, rows and scores of each beam size of an evaluation agree.

use super::faults::{Faults, twice};
use crate::Record;
use crate::record::record;
use attend_program::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const RESULTS: &str = "results.json";
const ROWS: &str = "per_image.parquet";
const SCORES: &str = "scores.json";

/// The columns that `per_image.parquet` must have.
struct PerImage {
    image_id: i64,
    beam: u32,
    caption: String,
}

record!(PerImage {
    image_id: Int64Array as Int64,
    beam: UInt32Array as UInt32,
    caption: StringArray as Utf8,
});

/// Captions by image.
type Captions = BTreeMap<i64, String>;

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let rows = PerImage::read(&faults.artifact.file(ROWS)?)?;
    let again = twice(rows.iter().map(|row| (row.image_id, row.beam)));
    let again = again
        .iter()
        .map(|(image, beam)| format!("image {image} at beam size {beam}"));
    faults.all(ROWS, "rows come twice", again);
    let mut by_beam: BTreeMap<u32, Captions> = BTreeMap::new();
    for row in rows {
        let captions = by_beam.entry(row.beam).or_default();
        captions.insert(row.image_id, row.caption);
    }
    faults.count(ROWS, "beams", by_beam.len());
    scores(faults, &by_beam);

    faults.artifact.file(RESULTS)?;
    let mut primary = None;
    let mut without = by_beam.clone();
    for name in results(faults) {
        let Some(captions) = captions(faults, &name)? else {
            continue;
        };
        let beam = name.strip_prefix("results-beam-");
        let beam = beam.and_then(|rest| rest.strip_suffix(".json")?.parse().ok());
        if let Some(beam) = beam {
            let rows = without.remove(&beam).unwrap_or_default();
            let ids: BTreeSet<i64> = captions.keys().chain(rows.keys()).copied().collect();
            let other = ids.iter().filter(|id| captions.get(*id) != rows.get(*id));
            let what =
                "images have another caption in per_image.parquet, or one of the two lacks them";
            faults.all(&name, what, other);
        } else if name == RESULTS {
            primary = Some(captions);
        }
    }
    let what = "beam sizes have no results-beam-{size}.json";
    faults.all(ROWS, what, without.keys());
    if primary.is_some_and(|captions| !by_beam.values().any(|rows| *rows == captions)) {
        faults.note(RESULTS, "the captions of no beam size in per_image.parquet");
    }
    Ok(())
}

/// Names of the files of results.
fn results(faults: &Faults) -> Vec<String> {
    let names = faults.artifact.manifest.files.iter().map(|file| &file.name);
    let results = names.filter(|name| name.starts_with("results") && name.ends_with(".json"));
    results.cloned().collect()
}

/// The captions of a file in COCO's results format.
fn captions(faults: &mut Faults, file: &str) -> Result<Option<Captions>> {
    let results = match faults.take(faults.json(file))? {
        Some(Value::Array(results)) => results,
        Some(_) => {
            faults.note(file, "not a list of results");
            return Ok(None);
        }
        None => return Ok(None),
    };
    let entry = |result: &Value| {
        let caption = result.get("caption")?.as_str()?.to_owned();
        Some((result.get("image_id")?.as_i64()?, caption))
    };
    let entries: Vec<Option<(i64, String)>> = results.iter().map(entry).collect();
    let strange = (0..entries.len()).filter(|n| entries[*n].is_none());
    let what = "entries are not {\"image_id\": number, \"caption\": text}";
    faults.all(file, what, strange.map(|n| format!("[{n}]")));
    let ids = entries.iter().flatten().map(|(id, _)| *id);
    faults.all(file, "images come twice", twice(ids));
    faults.count(file, "images", results.len());
    Ok(Some(entries.into_iter().flatten().collect()))
}

/// Compares `scores.json` with the rows: the beam sizes, and how many images they have.
fn scores(faults: &mut Faults, by_beam: &BTreeMap<u32, Captions>) {
    let scores = faults.object(SCORES);
    let beams = scores.get("beams").and_then(Value::as_object);
    let stated: Option<BTreeSet<String>> = beams.map(|beams| beams.keys().cloned().collect());
    let found: BTreeSet<String> = by_beam.keys().map(u32::to_string).collect();
    if stated.is_some_and(|stated| stated != found) {
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        let why = format!("\"beams\" are not those of {ROWS}: {}", found.join(", "));
        faults.note(SCORES, why);
    }
    let images = scores.get("images").and_then(Value::as_u64);
    let other = by_beam
        .values()
        .find(|rows| images != Some(rows.len() as u64));
    if let (Some(images), Some(rows)) = (images, other) {
        faults.note(
            SCORES,
            format!("{images} images, {ROWS} has {}", rows.len()),
        );
    }
}
