//! `attend-report worst`: the captions that score worst, or best, with those of people.

use attend_artifact::Artifact;
use attend_artifact::dataset::Dataset;
use attend_artifact::evaluation::{Evaluation, ImageScore};
use attend_program::text::escaped;
use attend_program::{Error, Result, output};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;

/// Print the captions that score worst, with those of people
#[derive(Parser)]
#[command(name = "attend-report worst", bin_name = "attend-report worst")]
pub struct Args {
    /// Folder of an evaluation artifact
    #[arg(value_name = "EVALUATION_DIR")]
    evaluation: PathBuf,
    /// Folder of the data set artifact that it was made from
    #[arg(value_name = "DATASET_DIR")]
    dataset: PathBuf,
    /// Score to sort by
    #[arg(long, value_enum, default_value = "cider")]
    by: By,
    /// Number of captions
    #[arg(short, long, default_value_t = 10)]
    number: usize,
    /// Print the best instead
    #[arg(long)]
    best: bool,
    /// Beam size [default: the evaluation's primary one]
    #[arg(long, value_name = "SIZE")]
    beam: Option<u32>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// A number that an evaluation has of each caption.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum By {
    Cider,
    Meteor,
    Bleu4,
    #[value(name = "rouge_l")]
    RougeL,
    /// Log-probability under the model
    #[value(name = "log_prob")]
    LogProb,
}

impl By {
    const ALL: [(By, &str, &str); 5] = [
        (By::Cider, "cider", "CIDEr"),
        (By::Meteor, "meteor", "METEOR"),
        (By::Bleu4, "bleu4", "BLEU-4"),
        (By::RougeL, "rouge_l", "ROUGE-L"),
        (By::LogProb, "log_prob", "log-probability"),
    ];

    fn of(self, row: &ImageScore) -> f64 {
        match self {
            By::Cider => row.cider,
            By::Meteor => row.meteor,
            By::Bleu4 => row.bleu4,
            By::RougeL => row.rouge_l,
            By::LogProb => row.log_prob,
        }
    }

    /// As it is printed: scores times 100.
    fn shown(self, row: &ImageScore) -> String {
        match self {
            By::LogProb => format!("{:.2}", self.of(row)),
            _ => format!("{:.1}", 100.0 * self.of(row)),
        }
    }
}

/// Prints them.
///
/// # Errors
/// [`Error::Refused`] if an artifact can't be read, [`Error::Usage`] if the evaluation has no
/// such beam size or score.
pub fn worst(args: &Args) -> Result<()> {
    let artifact = Artifact::open_kind(&args.evaluation, "evaluation")?;
    let evaluation = Evaluation::open(&artifact)?;
    let dataset = Dataset::open(&Artifact::open_kind(&args.dataset, "dataset")?)?;
    let beam = args.beam.unwrap_or(evaluation.primary);
    let rows = evaluation.by_beam.get(&beam).ok_or_else(|| {
        let sizes: Vec<String> = evaluation.by_beam.keys().map(u32::to_string).collect();
        Error::usage(format!(
            "--beam {beam}: the evaluation has {}",
            sizes.join(", ")
        ))
    })?;
    let mut rows: Vec<&ImageScore> = rows
        .iter()
        .filter(|row| !args.by.of(row).is_nan())
        .collect();
    if rows.is_empty() {
        return Err(Error::usage(format!(
            "{}: has no such score of single captions; `cargo xtask report` computes it",
            args.evaluation.display()
        )));
    }
    rows.sort_by(|a, b| {
        let order = args.by.of(a).total_cmp(&args.by.of(b));
        let order = if args.best { order.reverse() } else { order };
        order.then(a.image_id.cmp(&b.image_id))
    });
    rows.truncate(args.number);
    let mut references: HashMap<i64, Vec<&str>> = HashMap::new();
    for caption in dataset.captions() {
        let of_image = references.entry(caption.image_id).or_default();
        of_image.push(caption.caption.trim());
    }
    let names = dataset.images().iter();
    let names: HashMap<i64, &str> = names.map(|i| (i.image_id, i.file_name.as_str())).collect();
    let people = |row: &ImageScore| references.get(&row.image_id).map_or(&[][..], Vec::as_slice);
    let name = |row: &ImageScore| names.get(&row.image_id).copied().unwrap_or_default();
    if args.json {
        let list = rows.iter().map(|row| object(row, name(row), people(row)));
        return output::print_json(format!("{:#}", Value::from_iter(list))).map(drop);
    }
    for (at, row) in rows.iter().enumerate() {
        output::print(text(args, at, row, name(row), people(row)))?;
    }
    Ok(())
}

fn object(row: &ImageScore, name: &str, references: &[&str]) -> Value {
    let mut object = json!({
        "image_id": row.image_id,
        "file_name": name,
        "beam": row.beam,
        "caption": row.caption,
    });
    for (by, key, _) in By::ALL {
        object[key] = by.of(row).into();
    }
    object["references"] = references.into();
    object
}

fn text(args: &Args, at: usize, row: &ImageScore, name: &str, references: &[&str]) -> String {
    // The score that they are sorted by comes first.
    let mut scores: Vec<(By, &str, &str)> = By::ALL.to_vec();
    scores.sort_by_key(|(by, ..)| *by != args.by);
    let known = scores.iter().filter(|(by, ..)| !by.of(row).is_nan());
    let scores: Vec<String> = known
        .map(|(by, _, name)| format!("{name} {}", by.shown(row)))
        .collect();
    let mut text = format!(
        "{:>3}  {}   {}\n     says    {}",
        at + 1,
        escaped(name),
        scores.join(", "),
        escaped(&row.caption)
    );
    for (n, reference) in references.iter().enumerate() {
        let who = if n == 0 { "people" } else { "" };
        text += &format!("\n     {who:<7} {}", escaped(reference));
    }
    text
}
