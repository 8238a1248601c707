//! Checks that captions, rows and scores of each beam size of an evaluation agree.

use super::against;
use crate::Artifact;
use crate::dataset::Dataset;
use crate::evaluation::{PerImage, WordsRecord};
use crate::findings::{Findings, twice};
use attend_program::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const RESULTS: &str = "results.json";
const ROWS: &str = "per_image.parquet";
const SCORES: &str = "scores.json";
const WORDS: &str = "words.parquet";

/// Captions by image.
type Captions = BTreeMap<i64, String>;

pub(super) fn check(findings: &mut Findings, against: &[Artifact]) -> Result<()> {
    let rows = findings.table::<PerImage>(ROWS)?;
    let by_beam = rows.map(|rows| by_beam(findings, rows));
    let split = scores(findings, by_beam.as_ref())?;
    if let (Some(by_beam), Some(dataset)) = (&by_beam, against::dataset(against)?) {
        images(findings, by_beam, split.as_deref(), &dataset);
    }
    findings.file(RESULTS)?;
    let mut primary = None;
    let mut without = by_beam.clone().unwrap_or_default();
    for name in results(findings) {
        let Some(captions) = captions(findings, &name)? else {
            continue;
        };
        let beam = name.strip_prefix("results-beam-");
        let beam = beam.and_then(|rest| rest.strip_suffix(".json")?.parse().ok());
        if let (Some(beam), true) = (beam, by_beam.is_some()) {
            let rows = without.remove(&beam).unwrap_or_default();
            let ids: BTreeSet<i64> = captions.keys().chain(rows.keys()).copied().collect();
            let other = ids.iter().filter(|id| captions.get(*id) != rows.get(*id));
            let what =
                "images have another caption in per_image.parquet, or one of the two lacks them";
            findings.all(&name, what, other);
        } else if name == RESULTS {
            primary = Some(captions);
        }
    }
    let what = "beam sizes have no results-beam-{size}.json";
    findings.all(ROWS, what, without.keys());
    words(findings, primary.as_ref())?;
    if let (Some(captions), Some(by_beam)) = (primary, by_beam)
        && !by_beam.values().any(|rows| *rows == captions)
    {
        findings.note(RESULTS, "the captions of no beam size in per_image.parquet");
    }
    Ok(())
}

/// Compares the words, if there are any, with the captions of `results.json`.
fn words(findings: &mut Findings, captions: Option<&Captions>) -> Result<()> {
    if findings.artifact.manifest.file(WORDS).is_none() {
        return Ok(());
    }
    let Some(rows) = findings.table::<WordsRecord>(WORDS)? else {
        return Ok(());
    };
    let ids = rows.iter().map(|row| row.image_id);
    findings.all(WORDS, "images come twice", twice(ids));
    let odd = rows.iter().filter(|row| !row.is_even());
    let what = "images have not one attention for each cell and word, or not one log-probability for each word";
    findings.all(WORDS, what, odd.map(|row| row.image_id));
    let Some(captions) = captions else {
        return Ok(());
    };
    let is_other = |row: &&WordsRecord| captions.get(&row.image_id) != Some(&row.words.join(" "));
    let what = "images have another caption in results.json, or none";
    let other = rows.iter().filter(is_other);
    findings.all(WORDS, what, other.map(|row| row.image_id));
    Ok(())
}

/// The captions of each beam size.
fn by_beam(findings: &mut Findings, rows: Vec<PerImage>) -> BTreeMap<u32, Captions> {
    let again = twice(rows.iter().map(|row| (row.image_id, row.beam)));
    let again = again
        .iter()
        .map(|(image, beam)| format!("image {image} at beam size {beam}"));
    findings.all(ROWS, "rows come twice", again);
    let mut by_beam: BTreeMap<u32, Captions> = BTreeMap::new();
    for row in rows {
        let captions = by_beam.entry(row.beam).or_default();
        captions.insert(row.image_id, row.caption);
    }
    findings.count(ROWS, "beams", by_beam.len());
    by_beam
}

/// Compares the images of each beam size with those of the split in the data set.
fn images(
    findings: &mut Findings,
    by_beam: &BTreeMap<u32, Captions>,
    split: Option<&str>,
    dataset: &Dataset,
) {
    let images = dataset.images().iter();
    let of_split = images.filter(|image| Some(image.split.as_str()) == split);
    let ids: BTreeSet<i64> = of_split.map(|image| image.image_id).collect();
    for (beam, captions) in by_beam {
        let place = |id: &i64| format!("image {id} at beam size {beam}");
        let lacks = ids.iter().filter(|id| !captions.contains_key(*id));
        let what = "images of the split have no caption";
        findings.all(ROWS, what, lacks.map(place));
        let strange = captions.keys().filter(|id| !ids.contains(*id));
        let what = "images are not in the split that scores.json names";
        findings.all(ROWS, what, strange.map(place));
    }
}

/// Names of the files of results.
fn results(findings: &Findings) -> Vec<String> {
    let names = findings
        .artifact
        .manifest
        .files
        .iter()
        .map(|file| &file.name);
    let results = names.filter(|name| name.starts_with("results") && name.ends_with(".json"));
    results.cloned().collect()
}

/// The captions of a file in COCO's results format.
fn captions(findings: &mut Findings, file: &str) -> Result<Option<Captions>> {
    let results = match findings.json(file)? {
        Some(Value::Array(results)) => results,
        Some(_) => {
            findings.note(file, "not a list of results");
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
    findings.all(file, what, strange.map(|n| format!("[{n}]")));
    let ids = entries.iter().flatten().map(|(id, _)| *id);
    findings.all(file, "images come twice", twice(ids));
    findings.count(file, "images", results.len());
    Ok(Some(entries.into_iter().flatten().collect()))
}

/// Compares `scores.json` with the rows: the beam sizes, and how many images they have.
/// Returns the split that it names.
fn scores(
    findings: &mut Findings,
    by_beam: Option<&BTreeMap<u32, Captions>>,
) -> Result<Option<String>> {
    let Some(scores) = findings.object(SCORES)? else {
        return Ok(None);
    };
    let split = scores.get("split").and_then(Value::as_str);
    let images = scores.get("images").and_then(Value::as_u64);
    let beams = scores.get("beams").and_then(Value::as_object);
    let there = [split.is_some(), images.is_some(), beams.is_some()];
    let missing = ["split", "images", "beams"].into_iter().zip(there);
    let missing = missing.filter(|(_, there)| !there).map(|(key, _)| key);
    findings.all(SCORES, "keys are missing or of another type", missing);
    let Some(by_beam) = by_beam else {
        return Ok(split.map(str::to_owned));
    };
    let stated: Option<BTreeSet<String>> = beams.map(|beams| beams.keys().cloned().collect());
    let found: BTreeSet<String> = by_beam.keys().map(u32::to_string).collect();
    if stated.is_some_and(|stated| stated != found) {
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        let why = format!("\"beams\" are not those of {ROWS}: {}", found.join(", "));
        findings.note(SCORES, why);
    }
    let other = by_beam
        .values()
        .find(|rows| images != Some(rows.len() as u64));
    if let (Some(images), Some(rows)) = (images, other) {
        let why = format!("{images} images, {ROWS} has {}", rows.len());
        findings.note(SCORES, why);
    }
    Ok(split.map(str::to_owned))
}
