//! Scores, result files, and the summary that is printed.

use crate::config::Evaluate;
use crate::grounding::{Grounding, Tally};
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::evaluation::ImageScore;
use attend_artifact::vocabulary::Tokenizer;
use attend_artifact::{Record, Staging};
use attend_metrics::{Corpus, Metric, Scorer};
use attend_program::text::escaped;
use attend_program::{At, Error, Result, output};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// The human captions, by image.
pub struct References<'a>(HashMap<i64, Vec<Cow<'a, str>>>);

impl<'a> References<'a> {
    /// All captions of a data set, tokenized for scoring.
    pub fn new(dataset: &'a Dataset, tokenizer: Tokenizer) -> References<'a> {
        let mut captions: HashMap<i64, Vec<Cow<str>>> = HashMap::new();
        for caption in dataset.captions() {
            let text = tokenizer.for_scores(&caption.caption);
            captions.entry(caption.image_id).or_default().push(text);
        }
        References(captions)
    }

    /// The human captions of an image.
    pub fn get(&self, image_id: i64) -> &[Cow<'a, str>] {
        self.0.get(&image_id).map_or(&[], Vec::as_slice)
    }
}

/// Contents of `scores.json`.
#[derive(Debug, Serialize)]
struct Scores {
    split: String,
    images: u64,
    /// Scores by beam size; null if no image has a human caption.
    beams: Map<String, Value>,
    /// Grounding at the primary beam size; null if no word names an object with a box.
    grounding: Option<Grounding>,
    /// Notes on scores that say nothing about these captions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'static str>,
}

/// Scores the captions of one beam size and puts each image's scores into its row. Returns
/// null if no image has a human caption.
fn score(
    rows: &mut [ImageScore],
    references: &References,
    metrics: &[Metric],
    scorer: &Scorer,
    notes: &mut Vec<&'static str>,
) -> Value {
    let mut scored: Vec<&mut ImageScore> = rows
        .iter_mut()
        .filter(|row| !references.get(row.image_id).is_empty())
        .collect();
    if scored.is_empty() {
        return Value::Null;
    }
    let captions: Vec<&str> = scored.iter().map(|row| row.caption.as_str()).collect();
    let theirs: Vec<Vec<&str>> = scored
        .iter()
        .map(|row| {
            references
                .get(row.image_id)
                .iter()
                .map(Cow::as_ref)
                .collect()
        })
        .collect();
    let captions = Corpus::of_captions(&captions, &theirs);
    let mut corpus = Map::new();
    for score in scorer.score(metrics, &captions) {
        for (row, value) in scored.iter_mut().zip(&score.per_image) {
            row.set(&score.key, *value);
        }
        notes.extend(score.note);
        corpus.insert(score.key, json!(score.corpus));
    }
    Value::Object(corpus)
}

/// Writes `results*.json`, `scores.json` and `per_image.parquet` for captions by beam size.
///
/// # Errors
/// [`Error::Internal`] of the file system.
pub fn write(
    staging: &Staging,
    by_beam: &mut [(u32, Vec<ImageScore>)],
    references: &References,
    config: &Evaluate,
    scorer: &Scorer,
) -> Result<()> {
    let mut scores = Scores {
        split: config.split.clone(),
        images: by_beam.first().map_or(0, |(_, rows)| rows.len() as u64),
        beams: Map::new(),
        grounding: None,
        notes: Vec::new(),
    };
    let put = |name: &str, value: &Value| -> Result<()> {
        let path = staging.path(name)?;
        std::fs::write(&path, format!("{value:#}\n")).at(&path)?;
        staging.done(name, None)
    };
    for (beam, rows) in by_beam.iter_mut() {
        let notes = &mut scores.notes;
        let of_beam = score(rows, references, &config.metrics, scorer, notes);
        scores.beams.insert(beam.to_string(), of_beam);
        let results = rows
            .iter()
            .map(|row| json!({ "image_id": row.image_id, "caption": row.caption }))
            .collect();
        put(&format!("results-beam-{beam}.json"), &results)?;
        if *beam == config.primary_beam {
            scores.grounding = grounding(rows);
            put("results.json", &results)?;
        }
    }
    // The references are the same for all beams, and so are the notes.
    scores.notes.dedup();
    put(
        "scores.json",
        &serde_json::to_value(&scores).map_err(Error::internal)?,
    )?;
    let rows: Vec<ImageScore> = by_beam.iter().flat_map(|(_, rows)| rows.clone()).collect();
    ImageScore::write(&staging.path("per_image.parquet")?, &rows)?;
    staging.done("per_image.parquet", Some(rows.len() as u64))
}

fn grounding(rows: &[ImageScore]) -> Option<Grounding> {
    let mut tally = Tally::default();
    for row in rows {
        tally += Tally {
            words: row.named.into(),
            inside: row.inside,
            chance: row.chance,
        };
    }
    tally.mean()
}

/// Prints the table of `scores.json`.
///
/// # Errors
/// [`Error::Internal`] if it can't be read or printed.
pub fn print_table(path: &Path) -> Result<()> {
    let text = std::fs::read(path).at(path)?;
    let scores: Value = serde_json::from_slice(&text).at(path)?;
    let mut lines = Vec::new();
    table(&scores, &mut lines).map_err(Error::internal)?;
    output::print(String::from_utf8_lossy(&lines).trim_end()).map(drop)
}

fn table(scores: &Value, out: &mut impl Write) -> std::io::Result<()> {
    let split = scores["split"].as_str().unwrap_or_default();
    writeln!(
        out,
        "{} images of split {split:?}, scores times 100\n",
        scores["images"]
    )?;
    let beams: Vec<(&String, &Value)> = scores["beams"].as_object().into_iter().flatten().collect();
    let columns: Vec<(&str, &str)> = Metric::ALL
        .iter()
        .flat_map(|metric| metric.keys().iter().zip(metric.names()))
        .map(|(key, name)| (*key, *name))
        .filter(|(key, _)| beams.iter().any(|(_, scores)| scores[*key].is_number()))
        .collect();
    let names: String = columns.iter().map(|(_, n)| format!("{n:>9}")).collect();
    writeln!(out, "  beam{names}")?;
    for (beam, of_beam) in beams {
        write!(out, "{beam:>6}")?;
        for (key, _) in &columns {
            match of_beam[*key].as_f64() {
                Some(value) => write!(out, "{:>9.2}", 100.0 * value)?,
                None => write!(out, "{:>9}", "-")?,
            }
        }
        writeln!(out)?;
    }
    let of = |key: &str| scores["grounding"][key].as_f64();
    if let (Some(inside), Some(chance), Some(ratio), Some(words)) =
        (of("inside"), of("chance"), of("ratio"), of("words"))
    {
        writeln!(
            out,
            "\nattention inside the named object's box: {:.1} %, by chance {:.1} %: {ratio:.2} times ({words} words)",
            100.0 * inside,
            100.0 * chance
        )?;
    }
    for note in scores["notes"].as_array().into_iter().flatten() {
        writeln!(out, "\n{}", note.as_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Prints captions and human ones of a few images, evenly spaced over the split.
///
/// # Errors
/// [`Error::Internal`] if they can't be printed.
pub fn print_samples(
    rows: &[ImageScore],
    images: &[&ImageRecord],
    references: &References,
) -> Result<()> {
    const SAMPLES: usize = 3;
    let step = rows.len().div_ceil(SAMPLES).max(1);
    for (row, image) in rows.iter().zip(images).step_by(step) {
        let (name, said) = (escaped(&image.file_name), escaped(&row.caption));
        output::print(format_args!("\n{name}\n  says  {said}"))?;
        for reference in references.get(row.image_id) {
            output::print(format_args!("        {}", escaped(reference.trim())))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_well() {
        let scores = json!({
            "split": "test", "images": 7,
            "beams": {
                "1": {"bleu1": 0.70712, "bleu2": 0.5, "bleu3": 0.4, "bleu4": 0.3, "cider": 1.2},
                "10": null,
            },
            "grounding": {"inside": 0.61, "chance": 0.122, "ratio": 5.0, "words": 12},
        });
        let mut out = Vec::new();
        table(&scores, &mut out).unwrap();
        let expected = "7 images of split \"test\", scores times 100\n\n\
            \x20 beam   BLEU-1   BLEU-2   BLEU-3   BLEU-4    CIDEr\n\
            \x20    1    70.71    50.00    40.00    30.00   120.00\n\
            \x20   10        -        -        -        -        -\n\n\
            attention inside the named object's box: 61.0 %, by chance 12.2 %: 5.00 times (12 words)\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
